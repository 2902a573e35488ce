"""Measurement, the one currency between measuring and judging."""

import math
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class Measurement:
    """A number: what it is, over how many rows, for which slice (empty: all), how likely by chance (where tested).

    None: it is not defined on these data; a number that is not finite is none.
    """

    name: str
    value: float | None
    n: int
    slice: str = ""
    p: float | None = None

    def __post_init__(self) -> None:
        for part in ("value", "p"):
            number = getattr(self, part)
            if number is not None and not math.isfinite(number):
                object.__setattr__(self, part, None)

    def dump(self) -> dict[str, Any]:
        """Return the JSON form."""
        return asdict(self)


@dataclass(frozen=True)
class Measured:
    """What a check hands over: measurements for the judge, evidence for the reader (JSON: tables and curves)."""

    measurements: list[Measurement]
    evidence: dict[str, Any] = field(default_factory=dict)
