"""Measurement, the one currency between measuring and judging."""

from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class Measurement:
    """A number: what it is, over how many rows, for which slice (empty: all). None: it is not defined on these data."""

    name: str
    value: float | None
    n: int
    slice: str = ""

    def dump(self) -> dict[str, Any]:
        """Return the JSON form."""
        return asdict(self)


@dataclass(frozen=True)
class Measured:
    """What a check hands over: measurements for the judge, evidence for the reader (JSON: tables and curves)."""

    measurements: list[Measurement]
    evidence: dict[str, Any] = field(default_factory=dict)
