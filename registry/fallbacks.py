"""What is answered when no score can be given: rules over the features as they were sent, else one band.

A rule is {feature, is, value, band}: `is` says above or below (a number), equal (a number, a category, true or false),
or missing, which takes no value. The first rule that holds decides; signers read them as they are.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from registry.refusals import Invalid
from registry.schema import Column, Schema

MOST = 20  # rules: more are a model, which is checked as one
_NUMBERS = ("number", "integer")
_FORM = (
    "The fallback is an object with `band`, one of {bands}, and if you like `rules`: up to 20 objects of feature, is "
    "(above, below, equal, missing), value, band."
)


def checked(given: Mapping[str, Any] | None, bands: Sequence[str], schema: Schema) -> dict[str, Any]:
    """Return the fallback as a package holds it: the strictest band unless one is named; Invalid says why not."""
    if given is None:
        return {"band": bands[-1]}
    form = Invalid(_FORM.format(bands=", ".join(bands)))
    if not isinstance(given, Mapping) or set(given) - {"band", "rules"} or given.get("band") not in bands:
        raise form
    rules = given.get("rules", [])
    if not isinstance(rules, list) or len(rules) > MOST or not all(isinstance(rule, Mapping) for rule in rules):
        raise form
    columns = {column.name: column for column in schema.columns}
    wrong = [f"rule {place}" for place, rule in enumerate(rules, start=1) if not _sound(rule, bands, columns)]
    if wrong:
        raise Invalid(
            f"In the fallback, {', '.join(wrong)} cannot be applied: a rule names a feature of the version, a band of "
            "the package, and a value that the feature may have; above and below are said of numbers."
        )
    return {"band": given["band"], **({"rules": [dict(rule) for rule in rules]} if rules else {})}


def _sound(rule: Mapping[str, Any], bands: Sequence[str], columns: Mapping[str, Column]) -> bool:
    column, kind = columns.get(str(rule.get("feature"))), rule.get("is")
    parts = {"feature", "is", "band"} if kind == "missing" else {"feature", "is", "value", "band"}
    if column is None or set(rule) != parts or rule["band"] not in bands:
        return False
    if kind == "missing":
        return column.nullable
    value = rule["value"]
    if kind in ("above", "below"):
        return column.kind in _NUMBERS and type(value) in (int, float) and math.isfinite(value)
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


def band(fallback: Mapping[str, Any], features: Mapping[str, Any]) -> str:
    """Return the name of the band that is answered."""
    place = decides(fallback, features)
    name: str = fallback["rules"][place - 1]["band"] if place else fallback["band"]
    return name


def _holds(rule: Mapping[str, Any], value: Any) -> bool:
    if rule["is"] == "missing" or value is None:
        return rule["is"] == "missing" and value is None
    if rule["is"] == "equal":
        return bool(value == rule["value"])
    return bool(value > rule["value"] if rule["is"] == "above" else value < rule["value"])
