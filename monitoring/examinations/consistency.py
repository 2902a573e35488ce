"""Whether the candidate repeats itself, and is explained as its library would, by the very code that serves."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from monitoring import frames
from monitoring.candidates import Candidate
from monitoring.checks import consistency
from monitoring.measurement import Measured
from scoring import runtimes
from scoring.runtimes import proof

ONLINE_ROWS = 300  # rows sent one by one as JSON to compare with the batch
EXPLAINED_ROWS = 1000  # rows of the holdout whose explanation is compared with the library's


def measure(candidate: Candidate, rules: Mapping[str, Any]) -> Measured:
    """Measure reproduction of scores: recorded, one by one, in batch; and rows of the holdout that serving refuses."""
    rows = candidate.holdout.head(ONLINE_ROWS).to_dict("records")
    sent = [candidate.schema.vector(frames.plain(row, candidate.schema)) for row in rows]
    online = np.array([float(_answered(candidate.runtime, row[None])[0]) for row in sent])
    return consistency.measure(
        golden=candidate.golden(),
        online=online,
        batch=candidate.scores,
        champion=candidate.champion_scores,
        budget=rules["review_budget"],
        unscorable=len(candidate.every_row) - len(candidate.holdout),
        explained=proof.proven(candidate.runtime, candidate.vectors[:EXPLAINED_ROWS]).dump(),
    )


def _answered(runtime: runtimes.Runtime, row: np.ndarray) -> np.ndarray:
    """Return the score of a row as an answer has it: explained with it, where that is done inside a request."""
    if not runtime.explains_inline:
        return runtime.score(row).score
    return runtimes.checked(runtime.explain(row), runtime.flavour).score
