"""The only code that touches a model: bytes in, scores and exact attributions out; online, in batch and in checks.

Each flavour is a module with `load`, found by its name when first needed, so that a process pays only for the
libraries of the models it serves. What a runtime says of a row has the same bits alone and among others.
"""

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from registry.refusals import Invalid, Mismatch, Unavailable

FLAVOURS = ("lightgbm", "xgboost", "sklearn", "onnx")
TOLERANCE = {"lightgbm": 1e-9, "xgboost": 1e-4, "sklearn": 1e-6, "onnx": 1e-6}

LINK_TOLERANCE = 1e-6


@dataclass(frozen=True)
class Scored:
    """Scores of n rows, as probabilities of the adverse event, and the margins they come from: score = link(margin).

    score, margin: float64 of shape (n,); link: `logit` or `identity`.
    """

    score: np.ndarray
    margin: np.ndarray
    link: str


@dataclass(frozen=True)
class Explained:
    """Scores of n rows with what they are made of: base + attributions.sum(axis=1) = margin, score = link(margin).

    score, margin: float64 of shape (n,); base: one float; attributions: float64 of shape (n, n_features).
    """

    score: np.ndarray
    margin: np.ndarray
    base: float
    attributions: np.ndarray
    link: str


class Runtime(Protocol):
    """A loaded model, compiled for and ready to answer.

    `explains_inline`: `explain` is exact and fast enough for a request; else `explain_slowly` does it, in a worker.
    `explains_by`: how, in a word: `quadrature`, `library`, `linear` or `sampling`.
    """

    flavour: str
    explains_inline: bool
    explains_by: str

    def score(self, rows: np.ndarray) -> Scored:
        """Return scores of rows, float64 of shape (n, n_features)."""

    def explain(self, rows: np.ndarray) -> Explained:
        """Return scores with exact additive attributions; Unavailable where that is not possible inside a request."""

    def explain_slowly(self, rows: np.ndarray, background: np.ndarray) -> Explained:
        """Return scores with attributions, however long it takes.

        background: rows of reference data, float64 of shape (m, n_features), that attributions are measured against
        where the model's own structure does not say it.
        """


def load(flavour: str, files: Mapping[str, bytes], model_file: str, features: int, *, library: bool = False) -> Runtime:
    """Load a model from verified bytes and compile what explains it; Invalid says why these bytes cannot be served.

    library: trees are explained by their own library, since ours was not proven on them.
    """
    if flavour not in FLAVOURS:
        raise Invalid(f"There is no runtime for {flavour} models; register {', '.join(FLAVOURS)}.")
    try:
        module = importlib.import_module(f"scoring.runtimes.{flavour}_runtime")
        runtime: Runtime = module.load(files[model_file], features, library=library)
    except ModuleNotFoundError as error:
        raise Unavailable(
            f"{error.name} is not installed here, and {flavour} models need it: install what the extra "
            "`worker` names beside this server, or serve a LightGBM or XGBoost model."
        ) from error
    return runtime


def by_library(lineage: Mapping[str, Any]) -> bool:
    """Say whether a version's own record tells that its library explains it, since ours was not proven on it."""
    return bool(lineage.get("explanation", {}).get("by") == "library")


def checked(explained: Explained, flavour: str) -> Explained:
    """Return the explanation if it adds up to the margin; Mismatch otherwise, because then it explains nothing."""
    gap = _largest(explained.base + explained.attributions.sum(axis=1) - explained.margin)
    if not gap <= TOLERANCE[flavour]:
        raise Mismatch(f"The attributions miss the model's margin by {gap:.3g}; the answer cannot be explained.")
    linked = 1 / (1 + np.exp(-explained.margin)) if explained.link == "logit" else explained.margin
    off = _largest(linked - explained.score)
    if not off <= LINK_TOLERANCE:
        raise Mismatch(f"The score differs from the {explained.link} of the margin by {off:.3g}; it is not served.")
    return explained


def _largest(gaps: np.ndarray) -> float:
    """Return the largest distance from 0, NaN if there is one; of a single row without numpy's cost for many."""
    return abs(gaps.item()) if gaps.size == 1 else float(np.max(np.abs(gaps), initial=0.0))
