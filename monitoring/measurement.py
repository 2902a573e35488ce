"""Measurement, the one currency between measuring and judging."""

import math
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class Measurement:
    """A number: what it is, over how many rows, for which slice (empty: all), how likely by chance (where tested).

    `low`, `high`: its interval, at 95 % unless the evidence says otherwise; `statistic`: what `p` is the probability
    of; `needed`: rows that would be needed to tell, where `n` is too few. None: not defined on these data, or not
    computed; a number that is not finite is none.
    """

    name: str
    value: float | None
    n: int
    slice: str = ""
    p: float | None = None
    low: float | None = None
    high: float | None = None
    statistic: float | None = None
    needed: int | None = None

    def __post_init__(self) -> None:
        for part in ("value", "p", "low", "high", "statistic"):
            number = getattr(self, part)
            if number is not None and not math.isfinite(number):
                object.__setattr__(self, part, None)

    def dump(self) -> dict[str, Any]:
        """Return the JSON form; what was not computed beyond the plain number is left out."""
        optional = ("low", "high", "statistic", "needed")
        return {name: value for name, value in asdict(self).items() if value is not None or name not in optional}


@dataclass(frozen=True)
class Measured:
    """What a check hands over: measurements for the judge, evidence for the reader (JSON: tables and curves)."""

    measurements: list[Measurement]
    evidence: dict[str, Any] = field(default_factory=dict)
