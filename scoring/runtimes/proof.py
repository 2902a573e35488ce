"""Whether our explanation of a model is the library's: attributions side by side, and each against the raw margin.

LightGBM and XGBoost explain themselves, and shap.TreeExplainer only asks them; shap's compiled tree code reads trees
anew, so ours is held against both. It imports shap where it is used: in workers, never where requests are answered.
"""

import importlib
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from registry.refusals import Invalid
from scoring.runtimes import Explained, Runtime
from scoring.treeshap import drawing

ROWS = 2048  # that are drawn at registration; half of them are plain
SLOW = 20  # rows that are explained where that takes seconds
_TOLERANCE = {
    "xgboost": 1e-5,
    "onnx": 1e-6,
}  # of the size of what is compared, if that is above 1; both work in float32
_EXACT = 1e-9
_TINY = 1e-30  # what is smaller, LightGBM may take for zero, and zero for missing


@dataclass(frozen=True)
class Proof:
    """What was compared: largest differences over so many rows.

    library: to what the library says, None where that is what is served; compiled: to shap's own tree code, over the
    rows (`plain`) whose values it reads as every library does, None where it cannot judge such trees; margin: of base
    and attributions to the raw margin. `mismatches`: rows of which one is beyond the tolerance, or no number.
    """

    by: str
    rows: int
    tolerance: float
    library: float | None
    compiled: float | None
    plain: int
    margin: float | None
    mismatches: int

    def dump(self) -> dict[str, Any]:
        """Return the JSON form."""
        return asdict(self)


def explanation(runtime: Runtime) -> dict[str, Any]:
    """Return how a model shall be explained from now on (`by`) and the proof of it: what a version says of itself.

    Ours, if it is the library's on every row that was drawn; else the library's own, and `why`.
    """
    if runtime.explains_by != "quadrature":
        return {"by": runtime.explains_by}
    try:
        found = drawn(runtime)
    except ModuleNotFoundError as error:
        return {"by": "library", "why": f"{error.name} is not installed where it was registered"}
    why = f"{found.mismatches} of {found.rows} rows were explained differently"
    return {**found.dump(), **({"by": "library", "why": why} if found.mismatches else {})}


def drawn(runtime: Runtime) -> Proof:
    """Compare the explanations of rows drawn around the thresholds of a model's trees."""
    trees = runtime.explainer.forest  # type: ignore[attr-defined]
    try:
        return proven(runtime, drawing.rows(trees, ROWS, missing=True))
    except Invalid:  # it takes no missing values
        return proven(runtime, drawing.rows(trees, ROWS, missing=False))


def proven(runtime: Runtime, rows: np.ndarray) -> Proof:
    """Compare the explanations of rows, float64 of shape (n, features); nothing but sums where ours is not at work."""
    explained = runtime.explain(rows) if runtime.explains_inline else runtime.explain_slowly(rows[:SLOW], rows)
    rows = rows[: len(explained.score)]
    size = max(1.0, *(_largest(np.abs(values)) or 0.0 for values in (explained.margin, explained.attributions)))
    tolerance = _TOLERANCE.get(runtime.flavour, _EXACT) * size
    gaps = np.abs(explained.base + explained.attributions.sum(axis=1) - explained.margin)
    library = compiled = np.full(len(rows), np.nan)
    if runtime.explains_by == "quadrature":
        base, values = runtime.contributions(rows)  # type: ignore[attr-defined]
        library = np.maximum(np.abs(values - explained.attributions).max(axis=1), abs(base - explained.base))
        compiled = _compiled(runtime, rows, explained, tolerance)
    wrong = ~(gaps <= tolerance) | (library > tolerance) | (compiled > tolerance)
    return Proof(
        by=runtime.explains_by,
        rows=len(rows),
        tolerance=tolerance,
        library=_largest(library),
        compiled=_largest(compiled),
        plain=int(np.isfinite(compiled).sum()),
        margin=_largest(gaps),
        mismatches=int(wrong.sum()),
    )


def _largest(differences: np.ndarray) -> float | None:
    found = differences[np.isfinite(differences)]
    return float(found.max()) if len(found) else None


def _compiled(runtime: Runtime, rows: np.ndarray, ours: Explained, tolerance: float) -> np.ndarray:
    """Return the difference of each row to shap's compiled code; NaN where it has values that this reads its own way.

    Where it does not add up to the model's margin, as it leaves out the weights of XGBoost's dart, it proves nothing.
    """
    found = np.full(len(rows), np.nan)
    trees, model = runtime.explainer.forest, runtime.model  # type: ignore[attr-defined]
    plain = np.isfinite(rows).all(axis=1) & (np.abs(rows) > _TINY).all(axis=1)
    if plain.any() and not any(tree.categories for tree in trees.trees):
        reference = importlib.import_module("scoring.runtimes.shap_library").compiled(model)
        values = reference.attributions(rows[plain])
        if np.ptp(ours.margin[plain] - values.sum(axis=1)) <= tolerance:
            found[plain] = np.abs(values - ours.attributions[plain]).max(axis=1)
    return found
