"""Join measurements and policy into a verdict with its reasons. Pure: no limit is known here."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from monitoring.measurement import Measurement

PASS, WARN, FAIL, INSUFFICIENT, ERROR = "pass", "warn", "fail", "insufficient", "error"
_ORDER = [PASS, WARN, INSUFFICIENT, FAIL, ERROR]
BOUNDS = ("fail_below", "warn_below", "fail_above", "warn_above")


def judge(measurements: Sequence[Measurement], limits: Mapping[str, Mapping[str, float]]) -> tuple[str, list[str]]:
    """Return the worst verdict over all limits, with a sentence for each that is not a pass.

    `limits`: measurement name → {fail_below, warn_below, fail_above, warn_above, minimum_n, alpha}. A limit whose
    measurement is absent, undefined or over fewer rows than minimum_n gives `insufficient`, never a pass. With an
    alpha a bound counts only if the measurement's p-value is below it too.
    """
    verdict, reasons = PASS, []
    for name, limit in limits.items():
        found = [item for item in measurements if item.name == name]
        judged = [_one(item, limit) for item in found] or [(INSUFFICIENT, f"{name} could not be measured")]
        for one, reason in judged:
            verdict = worst([verdict, one])
            if one != PASS:
                reasons.append(reason)
    return verdict, reasons


def worst(verdicts: Sequence[str]) -> str:
    """Return the worst of some verdicts; of none, insufficient."""
    return max(verdicts, key=_ORDER.index, default=INSUFFICIENT)


def _one(item: Measurement, limit: Mapping[str, float]) -> tuple[str, str]:
    label = f"{item.name} ({item.slice})" if item.slice else item.name
    lacking = _lacking(item, limit)
    if lacking:
        return INSUFFICIENT, f"{label}{lacking}"
    chance = "" if item.p is None else f" (p {item.p:.2g})"
    if item.p is not None and item.p >= limit.get("alpha", math.inf):
        return PASS, ""
    for bound in BOUNDS:
        outcome, _, side = bound.partition("_")
        edge = limit.get(bound)
        value = item.value or 0.0
        if edge is not None and (value < edge if side == "below" else value > edge):
            return outcome, f"{label} is {value:.4g}{chance}, {side} the limit of {edge:g}"
    return PASS, ""


def _lacking(item: Measurement, limit: Mapping[str, float]) -> str:
    """Return what a measurement lacks to be held against its limit; nothing: it can be."""
    minimum = int(limit.get("minimum_n", 1))
    if item.n < minimum:
        return f": {item.n} rows, at least {minimum} are needed"
    if item.value is None:
        return f" cannot be told from these {item.n} rows: too few of a kind"
    if "alpha" in limit and item.p is None:
        return " was not tested, and its limit asks for significance"
    return ""


def describe(limits: Mapping[str, Any]) -> str:
    """Return a limit in words, for the page."""
    words = [f"{bound.replace('_', ' ')} {limits[bound]:g}" for bound in BOUNDS if bound in limits]
    return ", ".join(words) + (f" if p < {limits['alpha']:g}" if "alpha" in limits else "")
