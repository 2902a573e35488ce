"""Charts as SVG text, drawn on the server. Pure: numbers in, a Chart out, with the same numbers as a table.

Positions across are per cent of the width, so that a chart fits any screen while its letters keep their size; looks
come from classes of the style sheet, since the page's policy forbids styles inside.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from html import escape

HEIGHT, TOP, BASE = 176, 22, 150  # pixels: all, of the highest bar, of the axis
ROW = 26  # pixels of a waterfall's row
LEFT, RIGHT = 40.0, 88.0  # per cent between which a waterfall's bars lie
WORDS = 26  # characters of a label that fit beside a bar


class Svg(str):
    """Text that is SVG already: whatever came from outside was escaped when it was drawn."""

    __slots__ = ()

    def __html__(self) -> str:
        return self


@dataclass(frozen=True)
class Chart:
    """A drawing with the numbers behind it. `legend`: class of a series and what it is."""

    title: str
    svg: Svg
    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    legend: Sequence[tuple[str, str]] = ()


@dataclass(frozen=True)
class Step:
    """One contribution of a waterfall."""

    label: str
    value: float


def share(value: float) -> str:
    """Return a share as per cent."""
    return f"{value:.1%}"


def signed(value: float) -> str:
    """Return a number with its sign."""
    return f"{value:+.3g}".replace("-", "−")


def bars(title: str, labels: Sequence[str], series: Mapping[str, Sequence[float]], *, first: str = "") -> Chart:
    """Draw shares side by side for each label: a histogram of one or two series. `first`: what the labels are."""
    highest = max((value for values in series.values() for value in values), default=0) or 1
    slot = 100 / max(1, len(labels))
    width = slot * 0.84 / len(series)
    drawn = []
    for place, values in enumerate(series.values()):
        for position, value in enumerate(values):
            height = (BASE - TOP) * value / highest
            left = position * slot + slot * 0.08 + place * width
            drawn.append(
                f'<rect class="series-{place}" x="{left:.2f}%" y="{BASE - height:.1f}" width="{width:.2f}%" '
                f'height="{height:.1f}"/>'
            )
    drawn += [
        _line(0, BASE, 100, BASE, "axis"),
        _text(0, 12, f"{share(highest)} at most", "start"),
        *_ticks(labels, slot),
    ]
    names = list(series)
    rows = [[label, *(share(series[name][i]) for name in names)] for i, label in enumerate(labels)]
    described = f"Bars of {' beside '.join(names)} over {len(labels)} classes; the highest is {share(highest)}."
    sides = ("left bar", "right bar") if len(names) == 2 else ("",)
    legend = [(f"series-{i}", f"{name} ({sides[i]})" if sides[i] else name) for i, name in enumerate(names)]
    return Chart(title, _svg(title, described, drawn, HEIGHT), (first or "Class", *names), rows, legend)


def _ticks(labels: Sequence[str], slot: float) -> list[str]:
    """Label every slot when there are few, else the ends; a slot of missing values is always labelled."""
    y = BASE + 17
    if len(labels) <= 6 and max(map(len, labels), default=0) * len(labels) <= 42:
        return [_text((i + 0.5) * slot, y, label, "middle") for i, label in enumerate(labels)]
    last = len(labels) - 1
    ends = [_text(0, y, labels[0], "start")]
    if labels[last] == "missing":
        ends.append(_text(100, y, "missing", "end"))
        last -= 1
        return [*ends, _text(last * slot, y, labels[last], "end")]
    return [*ends, _text(100, y, labels[last], "end")]


def curve(title: str, points: Sequence[Sequence[float]], across: str, up: str) -> Chart:
    """Draw a curve in the unit square with the diagonal that guessing would give."""
    side, edge = 220, 26
    path = " ".join(f"{edge + x * side:.1f},{10 + (1 - y) * side:.1f}" for x, y in points)
    drawn = [
        f'<line class="guess" x1="{edge}" y1="{10 + side}" x2="{edge + side}" y2="10"/>',
        f'<polyline class="curve" points="{path}"/>',
        f'<path class="axis" d="M{edge} 10V{10 + side}H{edge + side}"/>',
        f'<text x="{edge + side / 2}" y="{side + 28}" text-anchor="middle">{escape(across)}</text>',
        f'<text x="14" y="{10 + side / 2}" text-anchor="middle" transform="rotate(-90 14 {10 + side / 2})">'
        f"{escape(up)}</text>",
    ]
    described = f"{up} against {across} over {len(points)} points; the dashed diagonal is guessing."
    step = max(1, len(points) // 12)
    rows = [[f"{x:.3f}", f"{y:.3f}"] for x, y in [*points[::step], *points[-1:]]]
    box = f'class="square" viewBox="0 0 {side + edge + 6} {side + 36}"'
    return Chart(title, _svg(title, described, drawn, None, box), (across, up), rows)


def waterfall(base: float, steps: Sequence[Step], margin: float, score: float, *, most: int = 12) -> Chart:
    """Draw how contributions lead from the base to the margin, the largest first, the rest as one step."""
    ranked = sorted(steps, key=lambda step: -abs(step.value))
    shown, rest = ranked[:most], ranked[most:]
    if rest:
        shown.append(Step(f"{len(rest)} others", sum(step.value for step in rest)))
    at = [base]
    for step in shown:
        at.append(at[-1] + step.value)
    place = _scale([*at, margin])
    drawn = [*_anchor(0, "base", base, place)]
    for row, step in enumerate(shown, start=1):
        drawn += _step(row, step, at[row - 1], at[row], place)
    drawn += _anchor(len(shown) + 1, f"margin, score {score:.4g}", margin, place)
    title = "Why this score"
    described = f"From the base {signed(base)} by {len(shown)} steps to the margin {signed(margin)}, score {score:.4g}."
    rows = [["base", signed(base)], *([step.label, signed(step.value)] for step in ranked), ["margin", signed(margin)]]
    svg = _svg(title, described, drawn, ROW * (len(shown) + 2), 'class="waterfall"')
    return Chart(
        title, svg, ("Feature", "Contribution"), rows, [("up", "raises the score (+)"), ("down", "lowers it (−)")]
    )


def _scale(values: Sequence[float]) -> Callable[[float], float]:
    low, high = min(values), max(values)
    span = (high - low) or 1
    return lambda value: LEFT + 2 + (RIGHT - LEFT - 2) * (value - low) / span


def _step(row: int, step: Step, before: float, after: float, place: Callable[[float], float]) -> list[str]:
    left, right = sorted((place(before), place(after)))
    y = row * ROW
    label = step.label if len(step.label) <= WORDS else f"{step.label[: WORDS - 1]}…"
    return [
        _text(LEFT, y + 17, label, "end", "label"),
        f'<rect class="{"up" if step.value >= 0 else "down"}" x="{left:.2f}%" y="{y + 4}" '
        f'width="{max(right - left, 0.2):.2f}%" height="{ROW - 8}"/>',
        _text(right, y + 17, signed(step.value), "start", shift=6),
    ]


def _anchor(row: int, label: str, value: float, place: Callable[[float], float]) -> list[str]:
    x, y = place(value), row * ROW
    return [
        _text(LEFT, y + 17, label, "end"),
        f'<line class="mark" x1="{x:.2f}%" y1="{y + 3}" x2="{x:.2f}%" y2="{y + ROW - 3}"/>',
        _text(x, y + 17, signed(value), "start", shift=6),
    ]


def trend(
    title: str, moments: Sequence[str], series: Mapping[str, Sequence[float]], *, limit: float | None = None
) -> Chart:
    """Draw values over moments as lines with points, and the limit they must stay under."""
    everything = [value for values in series.values() for value in values]
    highest = max([*everything, limit or 0, 1e-9])
    step = 94 / max(1, len(moments) - 1)

    def spot(position: int, value: float) -> tuple[float, float]:
        return 3 + position * step, BASE - (BASE - TOP) * value / highest

    drawn = [_line(0, BASE, 100, BASE, "axis"), _text(0, 12, f"{highest:.3g} at most", "start")]
    for place, values in enumerate(series.values()):
        spots = [spot(position, value) for position, value in enumerate(values)]
        drawn += [_line(*a, *b, f"line-{place}") for a, b in zip(spots, spots[1:], strict=False)]
        drawn += [f'<circle class="point-{place}" cx="{x:.2f}%" cy="{y:.1f}" r="4"/>' for x, y in spots]
    if limit is not None:
        y = spot(0, limit)[1]
        drawn += [_line(0, y, 100, y, "limit"), _text(100, y - 5, f"limit {limit:g}", "end")]
    if moments:
        drawn += [_text(0, BASE + 17, moments[0], "start")]
    if len(moments) > 1:
        drawn += [_text(100, BASE + 17, moments[-1], "end")]
    names = list(series)
    rows = [[moment, *(f"{series[name][i]:.4g}" for name in names)] for i, moment in enumerate(moments)]
    described = f"{' and '.join(names)} at {len(moments)} moments; the highest value is {highest:.3g}."
    shapes = ("solid line", "dashed line")
    legend = [(f"series-{i}", f"{name} ({shapes[i]})") for i, name in enumerate(names)]
    return Chart(title, _svg(title, described, drawn, HEIGHT), ("Until", *names), rows, legend)


def _svg(title: str, described: str, drawn: Sequence[str], height: int | None, box: str = "") -> Svg:
    size = f'width="100%" height="{height}"' if height else ""
    inside = f"<title>{escape(title)}</title><desc>{escape(described)}</desc>{''.join(drawn)}"
    return Svg(f'<svg role="img" {box} {size} xmlns="http://www.w3.org/2000/svg">{inside}</svg>')


def _line(x1: float, y1: float, x2: float, y2: float, look: str) -> str:
    return f'<line class="{look}" x1="{x1:.2f}%" y1="{y1:.1f}" x2="{x2:.2f}%" y2="{y2:.1f}"/>'


def _text(x: float, y: float, words: str, anchor: str, look: str = "", *, shift: int = 0) -> str:
    extra = (f' class="{look}"' if look else "") + (f' dx="{shift}"' if shift else "")
    return f'<text x="{x:.2f}%" y="{y:.1f}" text-anchor="{anchor}"{extra}>{escape(words)}</text>'
