"""Which checks a version owes under a policy's rules, and the limits that judge each. Pure: nothing is looked up."""

from collections.abc import Mapping
from typing import Any

SIGNING, SIGNATURE = "signing", "model.sig"
# A signature that nobody asked for is examined all the same, and one that is wrong never passes.
_UNASKED: Mapping[str, Any] = {"signature_wrong": {"fail_above": 0}}


def names(artifact: Mapping[str, Any], rules: Mapping[str, Any]) -> list[str]:
    """Return the checks that a version with these files owes: what the policy requires, and its signature's if any."""
    required = list(rules["checks"])
    return [*required, SIGNING] if SIGNATURE in artifact and SIGNING not in required else required


def limits(rules: Mapping[str, Any], check: str) -> Mapping[str, Any]:
    """Return the limits of a check: measurement → bounds."""
    found: Mapping[str, Any] = rules["checks"].get(check, _UNASKED if check == SIGNING else {})
    return found
