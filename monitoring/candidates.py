"""What the checks of a candidate measure on: its reloaded model, its data sets, the champion beside it."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pandas as pd

from monitoring import frames
from monitoring.measurement import Measured
from registry import artifacts, datasets
from registry.models import Dataset, ModelVersion
from registry.refusals import Invalid, Refusal
from registry.schema import Schema
from scoring import deployments, runtimes


@dataclass
class Candidate:
    """A version under examination; each part is loaded when first asked for, once."""

    version: ModelVersion

    @cached_property
    def schema(self) -> Schema:
        """The input schema."""
        return Schema.load(self.version.schema)

    @cached_property
    def runtime(self) -> runtimes.Runtime:
        """The model, loaded anew from its verified bytes by the code that serves."""
        files = artifacts.files(self.version.artifact)
        told = (self.version.flavour, files, self.version.lineage["model_file"], len(self.schema.columns))
        return runtimes.load(*told, library=runtimes.by_library(self.version.lineage))

    @cached_property
    def every_row(self) -> pd.DataFrame:
        """The labelled rows that the model has not seen, those included that serving would refuse."""
        return _frame(self.version, self.version.holdout, "holdout")

    @cached_property
    def holdout(self) -> pd.DataFrame:
        """The rows of the holdout that can be scored: what serving refuses says nothing about its answers."""
        fit = self.every_row[frames.scorable(self.every_row, self.schema)]
        if fit.empty:
            raise Invalid(f"No row of the holdout of {self.version} fits its schema: nothing can be measured on it.")
        return fit.reset_index(drop=True)

    @cached_property
    def labels(self) -> np.ndarray:
        """Labels of the holdout, shape (n,)."""
        return _only(self.version.holdout, "label", self.holdout).to_numpy(np.int64)

    @cached_property
    def vectors(self) -> np.ndarray:
        """Encoded holdout, shape (n, n_features)."""
        return frames.encode(self.holdout, self.schema)

    @cached_property
    def scores(self) -> np.ndarray:
        """Scores of the holdout, shape (n,)."""
        return self.runtime.score(self.vectors).score

    @cached_property
    def groups(self) -> dict[str, np.ndarray]:
        """Protected attributes of the holdout."""
        holdout = self.version.holdout
        return frames.groups(self.holdout, holdout.named("protected")) if holdout else {}

    @property
    def reference(self) -> pd.DataFrame:
        """The rows that production and holdout are compared with."""
        return _frame(self.version, self.version.reference, "reference")

    def golden(self) -> tuple[np.ndarray, np.ndarray] | None:
        """Scores of the golden rows as recorded by the author and as the reloaded model gives them."""
        if self.version.golden is None:
            return None
        rows = _frame(self.version, self.version.golden, "golden")
        recorded = _only(self.version.golden, "score", rows).to_numpy(np.float64)
        return recorded, self.runtime.score(frames.encode(rows, self.schema)).score

    @cached_property
    def champion(self) -> "Candidate | None":
        """What serves now, where that is another version, can be loaded, and takes the rows of this holdout."""
        deployment = deployments.current(self.version.model)
        if deployment is None or deployment.package.version_id == self.version.pk:
            return None
        found = Candidate(deployment.package.version)
        return found if set(found.schema.names) <= set(self.holdout) and found.loads() else None

    @cached_property
    def champion_scores(self) -> np.ndarray | None:
        """Scores of this holdout by the champion, shape (n,)."""
        if self.champion is None:
            return None
        return self.champion.runtime.score(frames.encode(self.holdout, self.champion.schema)).score

    def loads(self) -> bool:
        """Say whether its bytes are as registered: a damaged champion must not stand in its successor's way."""
        try:
            return bool(self.runtime)
        except Refusal:
            return False


def beside_champion(candidate: Candidate, measure: Callable[[np.ndarray], Measured]) -> Measured:
    """Measure the candidate's scores and, as evidence, the champion's on the same rows: like is compared with like."""
    measured = measure(candidate.scores)
    if candidate.champion is None or candidate.champion_scores is None:
        return measured
    beside = [item.dump() for item in measure(candidate.champion_scores).measurements]
    champion = {"version": candidate.champion.version.digest, "measurements": beside}
    return replace(measured, evidence={**measured.evidence, "champion": champion})


def _frame(version: ModelVersion, dataset: Dataset | None, role: str) -> pd.DataFrame:
    if dataset is None:
        raise Invalid(f"{version} was registered without a {role} data set (tag countersign.{role}).")
    frame: pd.DataFrame = datasets.read(dataset).to_pandas()
    return frame


def _only(dataset: Dataset | None, role: str, frame: pd.DataFrame) -> pd.Series:
    names = dataset.named(role) if dataset else []
    if len(names) != 1:
        raise Invalid(f"Exactly one column of this data set must have the role {role}; {len(names)} have.")
    return frame[names[0]]
