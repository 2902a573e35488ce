"""The attack suite (`make attack`): every tampering route, run against a running platform on its own data folder.

Each attack is a function: the first line of its docstring says who does what, the function does it and returns what
caught it, as it was observed. It leaves the platform as it was. What nothing catches is known by name and reason
(`LIMITS`), or is a failure.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

# Attack → why nothing catches it. One that is caught, or that is not carried out, must not stand here.
LIMITS = {
    "sign_in_everybodys_name": "the web serves those who sign, so its role can write what they would: guard it",
    "drop_a_writers_last_entry": "no later number shows the gap; only who was answered can tell",
    "collude_with_the_quorum": "whom a verifier trusts can deceive it: trust witnesses of several parties",
}


class NotCaughtError(AssertionError):
    """The attack was carried out and nothing noticed."""


@dataclass(frozen=True)
class Attack:
    """One route: its name in the code, what it says in the table, and how it is carried out."""

    name: str
    group: str
    title: str
    carry_out: Callable[[Any], str]


ATTACKS: list[Attack] = []


def attack(function: Callable[[Any], str]) -> Callable[[Any], str]:
    """Enter a function as an attack, in the order of the source."""
    title = (function.__doc__ or "").splitlines()[0].rstrip(".")
    ATTACKS.append(Attack(function.__name__, function.__module__.rpartition(".")[2], title, function))
    return function
