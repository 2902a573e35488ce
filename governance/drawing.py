"""A graph as SVG text: layers from left to right, each node a link. Pure: nodes and edges in, text out.

Looks come from classes of the style sheet, since the page's policy forbids styles inside.
"""

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Protocol

from scoring.charts import Svg

WIDTH, HEIGHT, ACROSS, DOWN = 148, 58, 40, 16  # pixels: of a node, between nodes
BOLD, PLAIN = 17, 21  # letters of a line that fit inside a node


class Drawn(Protocol):
    """What is drawn of a node."""

    @property
    def id(self) -> str: ...  # noqa: D102
    @property
    def kind(self) -> str: ...  # noqa: D102
    @property
    def label(self) -> str: ...  # noqa: D102
    @property
    def detail(self) -> str: ...  # noqa: D102
    @property
    def url(self) -> str: ...  # noqa: D102
    @property
    def layer(self) -> int: ...  # noqa: D102


class Joined(Protocol):
    """What is drawn of an edge."""

    @property
    def source(self) -> str: ...  # noqa: D102
    @property
    def target(self) -> str: ...  # noqa: D102
    @property
    def label(self) -> str: ...  # noqa: D102


def layered(title: str, nodes: Sequence[Drawn], edges: Sequence[Joined]) -> Svg:
    """Draw nodes in columns by their layer, in each column near what leads to them."""
    columns = _columns(nodes, edges)
    spots = _spots(columns)
    width = max(1, len(columns)) * (WIDTH + ACROSS) - ACROSS
    height = max((len(column) for column in columns), default=1) * (HEIGHT + DOWN) - DOWN
    drawn = [_edge(spots[edge.source], spots[edge.target]) for edge in edges]
    drawn += [_node(node, *spots[node.id]) for column in columns for node in column]
    size = f'width="{width + 4}" height="{height + 4}" viewBox="-2 -2 {width + 4} {height + 4}"'
    said = f"{escape(title)}: {len(nodes)} things and {len(edges)} links, from left to right."
    return Svg(
        f'<svg class="graph" role="group" aria-label="{said}" {size} xmlns="http://www.w3.org/2000/svg">'
        f"{''.join(drawn)}</svg>"
    )


def _columns(nodes: Iterable[Drawn], edges: Iterable[Joined]) -> list[list[Drawn]]:
    """Return the nodes by layer, empty layers left out; within one by the mean place of what leads there."""
    layers: dict[int, list[Drawn]] = {}
    for node in nodes:
        layers.setdefault(node.layer, []).append(node)
    before: dict[str, list[str]] = {}
    for edge in edges:
        before.setdefault(edge.target, []).append(edge.source)
    columns, places = [], dict[str, float]()
    for layer in sorted(layers):
        column = sorted(layers[layer], key=lambda node: _mean(before.get(node.id, ()), places))
        places |= {node.id: place / max(1, len(column) - 1) for place, node in enumerate(column)}
        columns.append(column)
    return columns


def _mean(names: Iterable[str], places: Mapping[str, float]) -> float:
    known = [places[name] for name in names if name in places]
    return sum(known) / len(known) if known else 0.0


def _spots(columns: Sequence[Sequence[Drawn]]) -> dict[str, tuple[float, float]]:
    """Return the upper left corner of each node; short columns stand in the middle."""
    tallest = max((len(column) for column in columns), default=0)
    found: dict[str, tuple[float, float]] = {}
    for across, column in enumerate(columns):
        top = (tallest - len(column)) * (HEIGHT + DOWN) / 2
        for down, node in enumerate(column):
            found[node.id] = (across * (WIDTH + ACROSS), top + down * (HEIGHT + DOWN))
    return found


def _edge(source: tuple[float, float], target: tuple[float, float]) -> str:
    x1, y1, x2, y2 = source[0] + WIDTH, source[1] + HEIGHT / 2, target[0], target[1] + HEIGHT / 2
    bend = max(ACROSS / 2, abs(x2 - x1) / 2)
    way = f"M{x1:.0f} {y1:.0f}C{x1 + bend:.0f} {y1:.0f} {x2 - bend:.0f} {y2:.0f} {x2:.0f} {y2:.0f}"
    return f'<path class="edge" d="{way}"/>'


def _node(node: Drawn, x: float, y: float) -> str:
    lines = (
        (15, "kind", _cut(node.kind.capitalize(), PLAIN)),
        (32, "label", _cut(node.label, BOLD)),
        (48, "detail", _cut(node.detail, PLAIN)),
    )
    texts = "".join(
        f'<text class="{look}" x="{x + 9:.0f}" y="{y + down:.0f}">{escape(words)}</text>' for down, look, words in lines
    )
    said = escape(f"{node.kind}: {node.label}, {node.detail}")
    return (
        f'<a class="{node.kind.replace(" ", "-")}" href="{escape(node.url)}" aria-label="{said}"><title>{said}</title>'
        f'<rect x="{x:.0f}" y="{y:.0f}" width="{WIDTH}" height="{HEIGHT}" rx="4"/>{texts}</a>'
    )


def _cut(words: str, letters: int) -> str:
    return words if len(words) <= letters else f"{words[: letters - 1]}…"
