"""What in a model's files could run code or swell without end, as counts: the findings are the evidence."""

from collections.abc import Mapping
from typing import Any

from monitoring.measurement import Measured, Measurement

FOUND = ("dangerous", "bombs", "code", "pickles")


def measure(scan: Mapping[str, Any], files: int) -> Measured:
    """Measure how much of each kind a scan found in so many files; the sentences that name them are the evidence."""
    counts = [Measurement(name, float(len(scan[name])), files) for name in FOUND]
    return Measured(counts, {"scanner": scan["scanner"], **{name: scan[name] for name in FOUND if scan[name]}})
