"""How far long work is: what is being done, how much of it is done, and how much there is."""

from collections.abc import Callable

Told = Callable[[str, int, int], None]


def quiet(doing: str, done: int, of: int) -> None:
    """Tell nobody."""
