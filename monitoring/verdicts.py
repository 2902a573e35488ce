"""Join measurements and policy into a verdict with its reasons. Pure: no limit is known here."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from monitoring.measurement import Measurement

PASS, WARN, FAIL, INSUFFICIENT, ERROR = "pass", "warn", "fail", "insufficient", "error"
_ORDER = [PASS, WARN, INSUFFICIENT, FAIL, ERROR]
BOUNDS = ("fail_below", "warn_below", "fail_above", "warn_above")


class Line(NamedTuple):
    """One limit held against one measurement. `bound`: the part of the limit that decided; empty: none did, it passed.

    `edge`: where that bound lies. `reason`: a sentence for every verdict that is not a pass.
    """

    name: str
    slice: str
    value: float | None
    n: int
    p: float | None
    verdict: str
    bound: str
    edge: float | None
    reason: str


def judge(measurements: Sequence[Measurement], limits: Mapping[str, Mapping[str, float]]) -> tuple[str, list[str]]:
    """Return the worst verdict over all limits, with a sentence for each that is not a pass; see `lines`."""
    found = lines(measurements, limits)
    return worst([PASS, *(line.verdict for line in found)]), [line.reason for line in found if line.verdict != PASS]


def lines(measurements: Sequence[Measurement], limits: Mapping[str, Mapping[str, float]]) -> list[Line]:
    """Return each limit held against each measurement of its name.

    `limits`: measurement name → {fail_below, warn_below, fail_above, warn_above, minimum_n, alpha}. A limit whose
    measurement is absent, undefined or over fewer rows than minimum_n gives `insufficient`, never a pass. With an
    alpha a bound counts only if the measurement's p-value is below it too.
    """
    found = []
    for name, limit in limits.items():
        named = [item for item in measurements if item.name == name]
        absent = Line(name, "", None, 0, None, INSUFFICIENT, "", None, f"{name} could not be measured")
        found += [_one(item, limit) for item in named] or [absent]
    return found


def worst(verdicts: Sequence[str]) -> str:
    """Return the worst of some verdicts; of none, insufficient."""
    return max(verdicts, key=_ORDER.index, default=INSUFFICIENT)


def _one(item: Measurement, limit: Mapping[str, float]) -> Line:
    label = f"{item.name} ({item.slice})" if item.slice else item.name
    measured = (item.name, item.slice, item.value, item.n, item.p)
    lacking, part = _lacking(item, limit)
    if lacking:
        return Line(*measured, INSUFFICIENT, part, limit.get(part), f"{label}{lacking}")
    chance = "" if item.p is None else f" (p {item.p:.2g})"
    if item.p is not None and item.p >= limit.get("alpha", math.inf):
        return Line(*measured, PASS, "", None, "")
    for bound in BOUNDS:
        outcome, _, side = bound.partition("_")
        edge = limit.get(bound)
        value = item.value or 0.0
        if edge is not None and (value < edge if side == "below" else value > edge):
            reason = f"{label} is {value:.4g}{chance}, {side} the limit of {edge:g}"
            return Line(*measured, outcome, bound, edge, reason)
    return Line(*measured, PASS, "", None, "")


def _lacking(item: Measurement, limit: Mapping[str, float]) -> tuple[str, str]:
    """Return what a measurement lacks to be held against its limit (nothing: it can be), and which part asks for it."""
    minimum = int(limit.get("minimum_n", 1))
    if item.n < minimum:
        return f": {item.n} rows, at least {minimum} are needed", "minimum_n"
    if item.value is None:
        return f" cannot be told from these {item.n} rows: too few of a kind", ""
    if "alpha" in limit and item.p is None:
        return " was not tested, and its limit asks for significance", "alpha"
    return "", ""


def describe(limits: Mapping[str, Any]) -> str:
    """Return a limit in words, for the page."""
    words = [f"{bound.replace('_', ' ')} {limits[bound]:g}" for bound in BOUNDS if bound in limits]
    return ", ".join(words) + (f" if p < {limits['alpha']:g}" if "alpha" in limits else "")
