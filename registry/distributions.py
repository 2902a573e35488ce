"""How a column's values spread, as a small picture: SVG text from the statistics of a data set. Pure.

Looks come from classes of the style sheet, since the page's policy forbids styles inside.
"""

from collections.abc import Mapping, Sequence
from html import escape
from itertools import pairwise
from typing import Any

WIDTH, HEIGHT = 120, 34  # pixels
_FEW = 20  # different values drawn one by one

Bar = tuple[float, float, float]  # from and to across, and how high: shares of 1


class Svg(str):
    """Text that is SVG already: whatever came from outside was escaped when it was drawn."""

    __slots__ = ()

    def __html__(self) -> str:
        return self


def picture(column: Mapping[str, Any]) -> Svg | None:
    """Draw a column as `profiles.Column.dump` tells of it; None where only counts are known, or no value."""
    top = column.get("top", [])
    if top and column.get("distinct", _FEW + 1) <= _FEW:
        values = sorted(top, key=lambda item: item[0]) if _are_numbers(top) else top
        return _svg(column["name"], _side_by_side([count for _, count in values]), "each value")
    if column.get("histogram", {}).get("edges"):
        return _svg(column["name"], _by_width(column["histogram"]), "values over their range")
    if top:
        return _svg(column["name"], _side_by_side([count for _, count in top]), "the most frequent values")
    return None


def _are_numbers(top: Sequence[Sequence[Any]]) -> bool:
    return all(isinstance(value, int | float) for value, _ in top)


def _side_by_side(counts: Sequence[int]) -> list[Bar]:
    slot, highest = 1 / len(counts), max(counts)
    return [((place + 0.1) * slot, (place + 0.9) * slot, count / highest) for place, count in enumerate(counts)]


def _by_width(histogram: Mapping[str, Sequence[float]]) -> list[Bar]:
    """Draw bins as wide as they are, and so high that areas are counts; the open ends are cut off."""
    edges, counts = histogram["edges"], histogram["counts"]
    span = edges[-1] - edges[0]
    if not span:
        return _side_by_side([int(count) for count in counts])
    spread = list(zip(pairwise(edges), counts[1:-1], strict=True))
    highest = max(count / (high - low) for (low, high), count in spread) or 1
    return [
        ((low - edges[0]) / span, (high - edges[0]) / span, count / (high - low) / highest)
        for (low, high), count in spread
    ]


def _svg(name: str, bars: Sequence[Bar], what: str) -> Svg:
    drawn = "".join(
        f'<rect class="series-1" x="{left * WIDTH:.1f}" y="{(1 - high) * HEIGHT:.1f}" '
        f'width="{max(0.5, (right - left) * WIDTH - 0.3):.1f}" height="{high * HEIGHT:.1f}"/>'
        for left, right, high in bars
    )
    return Svg(
        f'<svg class="spread" role="img" width="{WIDTH}" height="{HEIGHT + 1}" viewBox="0 0 {WIDTH} {HEIGHT + 1}" '
        f'xmlns="http://www.w3.org/2000/svg"><title>{escape(name)}: {what}</title>{drawn}'
        f'<line class="axis" x1="0" y1="{HEIGHT + 0.5}" x2="{WIDTH}" y2="{HEIGHT + 0.5}"/></svg>'
    )
