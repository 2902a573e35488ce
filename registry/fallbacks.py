"""What is answered when no score can be given: rules over the features as they were sent, a scorecard, or one band.

A rule is {feature, is, value, band}: `is` says above or below (a number), equal (a number, a category, true or false),
or missing, which takes no value. The first rule that holds decides. Else a scorecard does, a model that a person can
add up: of its `items`, rules with `points` in place of a band, those count that hold, and the last of its `bands`
({from, band}, in rising order) that their sum reaches is answered. Signers read all of it as it is.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any

from registry.refusals import Invalid
from registry.schema import Column, Schema

MOST = 20  # rules: more are a model, which is checked as one
MOST_ITEMS = 50  # of a scorecard: more, nobody adds up
_NUMBERS = ("number", "integer")
_FORM = (
    "The fallback is an object with `band`, one of {bands}, and if you like `rules`: up to 20 objects of feature, is "
    "(above, below, equal, missing), value, band; and `scorecard`, an object of `items` (up to 50 such objects with "
    "points in place of a band) and `bands` (objects of from and band, from rising)."
)


def checked(given: Mapping[str, Any] | None, bands: Sequence[str], schema: Schema) -> dict[str, Any]:
    """Return the fallback as a package holds it: the strictest band unless one is named; Invalid says why not."""
    if given is None:
        return {"band": bands[-1]}
    form = Invalid(_FORM.format(bands=", ".join(bands)))
    if not isinstance(given, Mapping) or set(given) - {"band", "rules", "scorecard"} or given.get("band") not in bands:
        raise form
    rules, card = given.get("rules", []), given.get("scorecard")
    if not _are_objects(rules, MOST) or not (card is None or _is_scorecard(card, bands)):
        raise form
    columns = {column.name: column for column in schema.columns}
    wrong = [f"rule {n}" for n, rule in enumerate(rules, 1) if not _sound(rule, columns, "band", bands.__contains__)]
    items = card["items"] if card else []
    wrong += [f"item {n}" for n, item in enumerate(items, 1) if not _sound(item, columns, "points", _is_number)]
    if wrong:
        raise Invalid(
            f"In the fallback, {', '.join(wrong)} cannot be applied: a rule names a feature of the version, a band of "
            "the package (an item of the scorecard: points), and a value that the feature may have; above and below "
            "are said of numbers."
        )
    found = {"rules": [dict(rule) for rule in rules], "scorecard": dict(card or {})}
    return {"band": given["band"], **{name: part for name, part in found.items() if part}}


def _are_objects(given: Any, most: int) -> bool:
    return isinstance(given, list) and len(given) <= most and all(isinstance(item, Mapping) for item in given)


def _is_scorecard(card: Any, bands: Sequence[str]) -> bool:
    if not isinstance(card, Mapping) or set(card) != {"items", "bands"}:
        return False
    steps = card["bands"]
    if not _are_objects(card["items"], MOST_ITEMS) or not _are_objects(steps, len(bands)) or not card["items"]:
        return False
    named = all(set(s) == {"from", "band"} and s["band"] in bands and _is_number(s["from"]) for s in steps)
    return bool(steps) and named and all(low["from"] < high["from"] for low, high in pairwise(steps))


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and math.isfinite(value)


def _sound(rule: Mapping[str, Any], columns: Mapping[str, Column], gives: str, may_give: Callable[[Any], bool]) -> bool:
    column, kind = columns.get(str(rule.get("feature"))), rule.get("is")
    parts = {"feature", "is", gives} if kind == "missing" else {"feature", "is", "value", gives}
    if column is None or set(rule) != parts or not may_give(rule[gives]):
        return False
    if kind == "missing":
        return column.nullable
    value = rule["value"]
    if kind in ("above", "below"):
        return column.kind in _NUMBERS and _is_number(value)
    return kind == "equal" and column.kind != "date" and _may_be(column, value)


def _may_be(column: Column, value: Any) -> bool:
    try:
        return value is not None and math.isfinite(column.encode(value))
    except ValueError:
        return False


def decides(fallback: Mapping[str, Any], features: Mapping[str, Any]) -> int | None:
    """Return the place of the first rule that holds, from 1 on; None when none does, and the band decides."""
    for place, rule in enumerate(fallback.get("rules", []), start=1):
        if _holds(rule, features.get(rule["feature"])):
            return place
    return None


def points(fallback: Mapping[str, Any], features: Mapping[str, Any]) -> float | None:
    """Return the exactly rounded sum of the scorecard's items that hold; None where there is no scorecard."""
    items = fallback.get("scorecard", {}).get("items")
    if items is None:
        return None
    return math.fsum(item["points"] for item in items if _holds(item, features.get(item["feature"])))


def answers(fallback: Mapping[str, Any], features: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """Return the name of the band that is answered, and what decided: `rule`, its place, or `points`, if either did."""
    if place := decides(fallback, features):
        return fallback["rules"][place - 1]["band"], {"rule": place}
    total = points(fallback, features)
    if total is None:
        return fallback["band"], {}
    reached = [step["band"] for step in fallback["scorecard"]["bands"] if total >= step["from"]]
    return [fallback["band"], *reached][-1], {"points": total}


def _holds(rule: Mapping[str, Any], value: Any) -> bool:
    if rule["is"] == "missing" or value is None:
        return rule["is"] == "missing" and value is None
    if rule["is"] == "equal":
        return bool(value == rule["value"])
    return bool(value > rule["value"] if rule["is"] == "above" else value < rule["value"])
