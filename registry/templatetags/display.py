"""How digests, numbers, moments, verdicts and stages look on a page. State is never shown by colour alone."""

from datetime import datetime

from django import template
from django.contrib.auth.models import PermissionsMixin
from django.utils.html import format_html
from django.utils.safestring import SafeString

register = template.Library()

# code: sign, words, tone
_LOOKS = {
    "pass": ("✓", "Passed", "good"),
    "warn": ("!", "Warning", "warn"),
    "fail": ("✗", "Failed", "bad"),
    "insufficient": ("?", "Insufficient evidence", "warn"),
    "error": ("✗", "Error", "bad"),
    "running": ("↻", "Running", "plain"),
    "waiting": ("…", "Waiting", "plain"),
    "unservable": ("✗", "Cannot be served", "bad"),
    "registered": ("…", "Registered, checks open", "plain"),
    "blocked": ("✗", "Blocked by checks", "bad"),
    "checked": ("○", "Checked", "info"),
    "requested": ("●", "In review", "warn"),
    "rejected": ("✗", "Rejected", "bad"),
    "approved": ("✓", "Approved", "good"),
    "champion": ("★", "Champion", "good"),
    "superseded": ("‹", "Superseded", "plain"),
    "drifted": ("▲", "Drifted", "bad"),
    "stable": ("✓", "Stable", "good"),
    "open": ("●", "Open", "warn"),
    "answered": ("✓", "Answered", "plain"),
    "overdue": ("!", "Overdue", "bad"),
    "approve": ("✓", "Approved", "good"),
    "reject": ("✗", "Rejected", "bad"),
    "arrived": ("✓", "Arrived", "good"),
    "failed": ("✗", "Given up", "bad"),
    "ACTIVE": ("✓", "Active", "good"),
    "DISABLED": ("–", "Disabled", "plain"),
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
def signed(value: object) -> str:
    """Return a number with its sign and three significant digits, or a dash."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        return "–"
    return f"{value:+.3g}".replace("-", "−") if value else "0"


@register.filter
def chance(value: object) -> str:
    """Return a p-value, or a dash."""
    if not isinstance(value, int | float):
        return "–"
    return "< 0.0001" if value < 0.0001 else f"{value:.4f}"


@register.filter
def thousands(value: object) -> str:
    """Return a count with its thousands apart, or a dash."""
    return f"{value:,}" if isinstance(value, int) else "–"


@register.filter
def percent(value: object) -> str:
    """Return a share as per cent."""
    return f"{value:.1%}" if isinstance(value, int | float) else "–"


@register.filter
def moment(value: datetime | None) -> SafeString | str:
    """Return a moment in UTC, to the second."""
    if value is None:
        return "–"
    return format_html('<time datetime="{}">{}</time>', value.isoformat(), f"{value:%Y-%m-%d %H:%M:%S}")


@register.filter
def mark(code: str) -> str:
    """Return the sign of a verdict or stage."""
    return _LOOKS.get(code, ("·", "", ""))[0]


@register.filter
def words(code: str) -> str:
    """Return a verdict or stage in words."""
    return _LOOKS[code][1] if code in _LOOKS else code.replace("_", " ").capitalize()


@register.filter
def badge(code: str) -> SafeString:
    """Return a verdict or stage as a badge: its sign, its words and, for those who see it, its tone."""
    tone = _LOOKS.get(code, ("", "", "plain"))[2]
    return format_html(
        '<span class="badge {}"><span aria-hidden="true">{}</span> {}</span>', tone, mark(code), words(code)
    )


@register.simple_tag
def roles(user: object) -> str:
    """Return the roles of who is signed in."""
    if not isinstance(user, PermissionsMixin):
        return ""
    return ", ".join(sorted(user.groups.values_list("name", flat=True)))
