"""Why a score is what it is, in words that were signed: attributions through a package's reason map. Pure.

On record are codes and contributions; texts are looked up in the signed package. The offline verifier repeats this.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

MOST = 4  # principal reasons: more are unlikely to help (Regulation B, commentary on 12 CFR 1002.9(b)(2))

Map = Mapping[str, Mapping[str, Any]]  # feature → its reason (registry.reason_maps)
Reason = dict[str, Any]  # code, contribution, and the `feature` or the `family` that it tells of


def ranked(reasons: Map, names: Sequence[str], attributions: Sequence[float]) -> Iterator[Reason]:
    """Yield every reason with a contribution in its direction, the strongest first, restricted ones too.

    The contribution of a family is the exactly rounded sum of its features'. Equal ones stand in the order of names.
    """
    for _, label, value in _strongest(reasons, names, attributions):
        reason = reasons.get(label)
        kind, reason = ("feature", reason) if reason else ("family", _of(reasons, {"family": label}))
        if _counts(reason, value):
            yield {"code": reason["code"], "contribution": value, kind: label}  # in the order of what is on record


def _strongest(reasons: Map, names: Sequence[str], attributions: Sequence[float]) -> list[tuple[float, str, float]]:
    """Return (order, feature or family, contribution); no family is called like a feature."""
    if not any("family" in reason for reason in reasons.values()):
        return sorted([(-abs(value), name, value) for name, value in zip(names, attributions, strict=True)])
    groups: dict[str, list[float]] = {}
    for name, value in zip(names, attributions, strict=True):
        groups.setdefault(reasons[name].get("family", name), []).append(value)
    summed = [(label, math.fsum(values)) for label, values in groups.items()]
    return sorted([(-abs(value), label, value) for label, value in summed])


def principal(reasons: Map, names: Sequence[str], attributions: Sequence[float]) -> list[Reason]:
    """Return what a customer may be told: at most MOST reasons, none of them restricted."""
    found = []
    for reason in ranked(reasons, names, attributions):
        if not _of(reasons, reason).get("restricted"):
            found.append(reason)
            if len(found) == MOST:
                break
    return found


def told(reasons: Map, found: Sequence[Reason]) -> list[Reason]:
    """Return reasons with the customer's text; those that were recorded with a text keep it."""
    return [{"text": _of(reasons, reason)["text"], **reason} for reason in found]


def investigated(reasons: Map, names: Sequence[str], attributions: Sequence[float]) -> list[Reason]:
    """Return every reason with the investigator's text, or the customer's where there is none, and `restricted`."""
    found = [(reason, _of(reasons, reason)) for reason in ranked(reasons, names, attributions)]
    return [
        {**reason, "text": said.get("investigator", said["text"]), "restricted": said.get("restricted", False)}
        for reason, said in found
    ]


def _counts(reason: Mapping[str, Any], value: float) -> bool:
    direction = reason.get("direction", "raises")
    return (value > 0 and direction != "lowers") or (value < 0 and direction != "raises")


def _of(reasons: Map, found: Reason) -> Mapping[str, Any]:
    """Return the map's reason that a found one tells of."""
    if "feature" in found:
        return reasons[found["feature"]]
    return next(reason for reason in reasons.values() if reason.get("family") == found["family"])
