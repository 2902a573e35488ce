"""What is shown: one JSON document for programs, or lines of at most 80 columns for people; progress goes to stderr."""

import json
import sys
import textwrap
from collections.abc import Iterable, Sequence
from typing import Any

import click

WIDTH = 80
COLOURS = {
    **dict.fromkeys(("pass", "champion", "approved", "checked", "READY"), "green"),
    **dict.fromkeys(("warn", "insufficient", "requested", "alert"), "yellow"),
    **dict.fromkeys(("fail", "error", "blocked", "rejected", "unservable"), "red"),
}


def tell(answer: Any, lines: Iterable[str], *, as_json: bool) -> None:
    """Show an answer: as JSON whole, else by its lines."""
    if as_json:
        click.echo(json.dumps(answer, indent=2))
        return
    for line in lines:
        click.echo(line)


def note(text: str) -> None:
    """Say what goes on; on stderr, so that stdout holds only the answer."""
    click.echo(text, err=True)


def bar(length: int, label: str) -> Any:
    """Return a progress bar on stderr, to be entered; where nobody watches it is its label alone."""
    return click.progressbar(length=length, label=label, file=sys.stderr, width=30, show_pos=False)


def word(text: str, width: int = 0) -> str:
    """Return a verdict or stage, padded, in its colour."""
    return click.style(plain(text).ljust(width), fg=COLOURS.get(text))


def plain(text: Any) -> str:
    """Return a text of the server's without control characters: a terminal would obey them."""
    return "".join(c if c.isprintable() else " " for c in str(text))


def wrapped(text: Any, indent: int) -> list[str]:
    """Return a sentence as indented lines that fit the terminal."""
    margin = " " * indent
    return textwrap.wrap(plain(text), WIDTH, initial_indent=margin, subsequent_indent=margin, break_on_hyphens=False)


def table(rows: Sequence[Sequence[Any]], head: Sequence[str]) -> list[str]:
    """Return rows under a head, each column as wide as its longest value; the last is cut at the edge."""
    texts = [[plain(value) for value in row] for row in rows]
    widths = [max(len(line[place]) for line in [head, *texts]) for place in range(len(head))]
    lines = [_joined(head, widths)]
    for texts_of, row in zip(texts, rows, strict=True):
        line = _joined(texts_of, widths)
        for value in row:
            if value in COLOURS:
                line = line.replace(value, click.style(value, fg=COLOURS[value]), 1)
        lines.append(line)
    return lines


def _joined(texts: Sequence[str], widths: Sequence[int]) -> str:
    line = "  ".join(text.ljust(width) for text, width in zip(texts, widths, strict=True)).rstrip()
    return line if len(line) <= WIDTH else line[: WIDTH - 1] + "…"


def number(value: float | None) -> str:
    """Return a number as the verdicts show it."""
    return "–" if value is None else f"{value:.4g}"
