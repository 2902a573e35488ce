"""The reason map of a package: what each feature is called when it is a reason, to whom, and in which direction.

A feature's reason: `code`; `text`, which the customer reads; and where it is not as usual, `investigator`, which only
investigators read; `restricted`, never told to the customer; `family`, the features that are told as one reason with
the sum of their contributions; `direction`, which contributions are a reason.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from registry.refusals import Invalid
from registry.schema import Schema

DIRECTIONS = ("raises", "lowers", "either")  # the score; the first is the usual
_TEXTS = {"code": 200, "text": 200, "investigator": 500, "family": 60}  # characters at most
_PARTS = {*_TEXTS, "restricted", "direction"}
_SHARED = ("code", "text", "investigator", "restricted", "direction")  # by all features of a family

Reason = dict[str, Any]


def checked(given: Mapping[str, Mapping[str, Any]], schema: Schema) -> dict[str, Reason]:
    """Return the reason of each feature of a schema in its one form; Invalid says what is wrong with a map.

    What is not given is a feature's name. What is usual is left out, so that a map has the digest it always had.
    """
    if not isinstance(given, Mapping) or not all(isinstance(reason, Mapping) for reason in given.values()):
        raise Invalid("The reason map is an object of feature name to {code, text}.")
    strange = set(given) - set(schema.names)
    if strange:
        raise Invalid(f"The reason map speaks of {', '.join(sorted(strange))}, which are not features of this version.")
    for reason in given.values():
        _formed(reason)
    usual = {name: {"code": name.upper(), "text": name.replace("_", " ")} for name in schema.names}
    result = {name: {**usual[name], **_unusual(given.get(name, {}))} for name in schema.names}
    _apart(result.values())
    if twice := {reason.get("family") for reason in result.values()} & set(schema.names):
        raise Invalid(f"A family is not called like a feature, as {', '.join(map(str, twice))} is.")
    return result


def _formed(reason: Mapping[str, Any]) -> None:
    if set(reason) - _PARTS:
        raise Invalid(f"A reason holds {', '.join(sorted(_PARTS))}, nothing else.")
    for name, most in _TEXTS.items():
        text = reason.get(name, "-")
        if not (isinstance(text, str) and 0 < len(text) <= most and text.isprintable()):
            raise Invalid(f"The {name} of a reason has 1 to {most} printable characters.")
    if not isinstance(reason.get("restricted", False), bool):
        raise Invalid("`restricted` of a reason is true or false.")
    if reason.get("direction", DIRECTIONS[0]) not in DIRECTIONS:
        raise Invalid(f"The direction of a reason is one of {', '.join(DIRECTIONS)}.")


def _unusual(reason: Mapping[str, Any]) -> Reason:
    usual = {"restricted": False, "direction": DIRECTIONS[0]}
    return {name: value for name, value in reason.items() if name not in usual or value != usual[name]}


def _apart(reasons: Iterable[Reason]) -> None:
    """Refuse families that are told in two ways, and codes or texts that tell of something restricted."""
    families: dict[str, Reason] = {}
    secret: dict[bool, set[str]] = {True: set(), False: set()}
    for reason in reasons:
        secret[reason.get("restricted", False)] |= {reason["code"], reason["text"]}
        if family := reason.get("family"):
            first = families.setdefault(family, reason)
            if any(first.get(name) != reason.get(name) for name in _SHARED):
                raise Invalid(f"The features of family {family} share {', '.join(_SHARED)}.")
    if told := secret[True] & secret[False]:
        raise Invalid(f"Restricted features are told of by {', '.join(sorted(told))}, which a customer may read.")
