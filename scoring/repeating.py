"""Compute one decision again from what is on record, hold every bit against what was answered, say why one differs.

`data`: the record does not hang together: inputs or answer are not what was entered, the vector does not follow from
the inputs, the model's file is another. `environment`: other processor or libraries. `code`: ours has changed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import orjson

from registry import ledger
from registry.models import LedgerEntry, ModelVersion
from registry.refusals import Invalid, Refusal
from registry.schema import Schema
from scoring import answering, commitments, environments, explaining, reasons, runtimes
from scoring.models import Decision, Explanation
from scoring.runtimes import Runtime, Scored

DATA, ENVIRONMENT, CODE = "data", "environment", "code"
_NUMBERS = ("score", "margin", "base", "attributions")


@dataclass(frozen=True)
class Difference:
    """Why a decision does not come out the same: the kind, what differs, and by how much each number is off at most."""

    kind: str
    what: list[str]
    size: dict[str, float] = field(default_factory=dict)

    def dump(self) -> dict[str, Any]:
        """Return the JSON form."""
        return asdict(self)


@dataclass(frozen=True)
class Recorded:
    """A decision with everything that is on record about how it came about."""

    decision: Decision
    entry: LedgerEntry | None
    explanation: Explanation | None
    environments: Mapping[str, Mapping[str, Any]]  # digest → content

    def answer(self) -> dict[str, Any]:
        """Return what was answered, with the explanation that followed."""
        answer: dict[str, Any] = orjson.loads(bytes(self.decision.answer))
        return {**answer, **explaining.content_of(self.explanation)} if self.explanation else answer


def difference(recorded: Recorded, schema: Schema, runtime: Runtime | None) -> Difference | None:
    """Return why a decision does not come out the same, None when every bit does. Fallbacks need no runtime."""
    if wrong := _unheld(recorded, schema):
        return Difference(DATA, wrong)
    answer, package = recorded.answer(), recorded.decision.deployment.package
    if recorded.decision.is_fallback:
        features = orjson.loads(bytes(recorded.decision.inputs))["features"]
        same = answering.fallback(package, answer["fallback"], features) == answer
        return None if same else Difference(DATA, ["the answer is not the fallback of its package"])
    if runtime is None:
        return Difference(DATA, ["its model cannot be loaded"])
    vector = np.array(recorded.decision.vector, dtype=np.float64)
    try:
        version = package.version if recorded.explanation else None
        again = _computed(runtime, vector, explained="attributions" in answer, version=version)
    except (Refusal, ValueError) as error:
        return _classified(recorded, runtime, [f"it gives no score: {error}"], {})
    size = _off(answer, again)
    if size:
        return _classified(recorded, runtime, [f"{', '.join(size)} differ"], size)
    if wrong := _unfollowed(package, answer):
        return Difference(CODE, wrong)
    return None


def _unheld(recorded: Recorded, schema: Schema) -> list[str]:
    """Return what of a decision is not what was entered, or contradicts itself."""
    row, answer = recorded.decision, orjson.loads(bytes(recorded.decision.answer))
    said = ledger.facts_of(recorded.entry) if recorded.entry else {}
    found = [
        f"its {part} is not what was entered"
        for part in ("inputs", "answer")
        if commitments.commit(part, bytes(getattr(row, f"{part}_salt")), bytes(getattr(row, part))) != said.get(part)
    ]
    if (answer["score"], answer["band"], answer.get("attributions")) != (row.score, row.band, row.attributions):
        found.append("its columns do not repeat the answer")
    if recorded.explanation and explaining.content_of(recorded.explanation)["attributions"] != (
        recorded.explanation.attributions
    ):
        found.append("the columns of its explanation do not repeat the content")
    if not row.is_fallback:
        found += _vector(row, schema)
    return found


def _vector(row: Decision, schema: Schema) -> list[str]:
    try:
        vector = schema.vector(orjson.loads(bytes(row.inputs))["features"])
    except Invalid as refusal:
        return [f"its inputs do not fit the schema of the version: {refusal.detail}"]
    if vector.tobytes() == np.array(row.vector, dtype=np.float64).tobytes():
        return []
    return ["its stored vector does not follow from its inputs"]


def _computed(runtime: Runtime, vector: np.ndarray, *, explained: bool, version: ModelVersion | None) -> dict[str, Any]:
    """Return the numbers of an answer, computed as they were then. `version`: of what was explained by a worker."""
    if not explained:
        return _score(runtime.score(vector[None]))
    if version:
        found = explaining.computed(runtime, version, vector)
    else:
        found = runtimes.checked(runtime.explain(vector[None]), runtime.flavour)
    scored = runtime.score(vector[None]) if version else Scored(found.score, found.margin, found.link)
    return {**_score(scored), "base": found.base, "attributions": found.attributions[0].tolist()}


def _score(scored: Scored) -> dict[str, Any]:
    return {"score": float(scored.score[0]), "margin": float(scored.margin[0])}


def _off(answer: Mapping[str, Any], again: Mapping[str, Any]) -> dict[str, float]:
    """Return, for each number whose bits differ, by how much it is off."""
    pairs = {name: (_bits(answer[name]), _bits(again[name])) for name in _NUMBERS if name in again}
    return {
        name: float(np.max(np.abs(old - new))) if old.shape == new.shape else float("inf")
        for name, (old, new) in pairs.items()
        if old.tobytes() != new.tobytes()
    }


def _bits(value: float | Sequence[float]) -> np.ndarray:
    return np.atleast_1d(np.array(value, dtype=np.float64))


def _classified(recorded: Recorded, runtime: Runtime, what: list[str], size: dict[str, float]) -> Difference:
    """Say what explains other bits: what changed since the decision was made, in the order of what is likely."""
    before = recorded.environments.get(recorded.answer().get("environment", ""))
    if before is None:
        return Difference(ENVIRONMENT, [*what, "what it was computed with is not on record"], size)
    changed = environments.differences(before, environments.content(runtime.flavour))
    told = [*what, *(line for lines in changed.values() for line in lines)]
    if "cpu" in changed or "libraries" in changed:
        return Difference(ENVIRONMENT, told, size)
    if "code" in changed:
        return Difference(CODE, told, size)
    return Difference(DATA, [*what, "though processor, libraries and code are the same"], size)


def _unfollowed(package: Any, answer: Mapping[str, Any]) -> list[str]:
    """Return what of an answer does not follow from its numbers under the package."""
    band = answering.band_of(package, answer["score"])
    found = [] if (band["name"], band["action"]) == (answer["band"], answer["action"]) else ["band or action differ"]
    if "attributions" in answer:
        codes = reasons.principal(package.reasons, answer["features"], answer["attributions"])
        recorded = [{name: value for name, value in reason.items() if name != "text"} for reason in answer["reasons"]]
        found += [] if codes == recorded else ["the reasons differ"]
    return found
