"""Make trees ready to explain rows, if they are of a kind that can be."""

from collections.abc import Callable

from scoring.treeshap.explainer import Explainer
from scoring.treeshap.forest import Forest, Unreadable


def explainer(read: Callable[[], Forest], *, library: bool) -> Explainer | None:
    """Return a compiled explainer of what is read; None where the library shall explain, or trees are unreadable."""
    if library:
        return None
    try:
        made = Explainer(read())
    except (Unreadable, OverflowError):  # leaves that add up to no number are the library's too
        return None
    made.warm()
    return made
