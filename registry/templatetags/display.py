"""How digests, numbers, moments and verdicts look on a page."""

from django import template

register = template.Library()

_MARKS = {
    "pass": ("✓", "Passed"),
    "warn": ("!", "Warning"),
    "fail": ("✗", "Failed"),
    "insufficient": ("?", "Insufficient evidence"),
    "error": ("✗", "Error"),
}


@register.filter
def short(digest: object) -> str:
    """Return the first twelve characters of a digest or identifier."""
    return f"{str(digest)[:12]}…"


@register.filter
def number(value: object) -> str:
    """Return a number with four significant digits, or a dash."""
    return f"{value:.4g}" if isinstance(value, int | float) and not isinstance(value, bool) else "–"


@register.filter
def percent(value: object) -> str:
    """Return a share as per cent."""
    return f"{value:.1%}" if isinstance(value, int | float) else "–"


@register.filter
def mark(verdict: str) -> str:
    """Return the sign of a verdict: state is never shown by colour alone."""
    return _MARKS.get(verdict, ("·", ""))[0]


@register.filter
def words(verdict: str) -> str:
    """Return a verdict in words."""
    return _MARKS.get(verdict, ("", verdict.replace("_", " ").capitalize()))[1]
