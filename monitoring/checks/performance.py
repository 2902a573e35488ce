"""How well scores order and price the risk: discrimination, calibration, and what the review budget catches."""

import numpy as np
from sklearn.metrics import average_precision_score, brier_score_loss, roc_auc_score, roc_curve

from monitoring.measurement import Measured, Measurement


def threshold_at(scores: np.ndarray, budget: float) -> float:
    """Return the lowest score from which at most a share `budget` of the rows lies: what reviewers can look at.

    Ties are never split and never exceed the budget; when the best score alone is too frequent, nothing is flagged.
    """
    values, counts = np.unique(scores, return_counts=True)
    within = values[np.cumsum(counts[::-1])[::-1] <= budget * len(scores) + 1e-9]
    return float(within[0]) if len(within) else float(np.nextafter(values[-1], np.inf))


def measure(labels: np.ndarray, scores: np.ndarray, *, budget: float) -> Measured:
    """Measure scores of shape (n,) against labels (1: the adverse event happened)."""
    n, positives = len(labels), int(labels.sum())
    if positives in (0, n):
        return Measured([Measurement("roc_auc", None, n)], {"rows": n, "positives": positives})
    false_rate, true_rate, _ = roc_curve(labels, scores)
    flagged = scores >= threshold_at(scores, budget)
    values = {
        "roc_auc": roc_auc_score(labels, scores),
        "pr_auc": average_precision_score(labels, scores),
        "ks": np.max(true_rate - false_rate),
        "brier": brier_score_loss(labels, scores),
        "recall_at_budget": labels[flagged].sum() / positives,
        "precision_at_budget": labels[flagged].mean() if flagged.any() else None,
    }
    step = max(1, len(false_rate) // 100)
    evidence = {
        "rows": n,
        "positives": positives,
        "budget": budget,
        "roc": np.column_stack([false_rate, true_rate])[::step].round(4).tolist(),
        "scores": _by_class(labels, scores),
    }
    found = {name: None if value is None else float(value) for name, value in values.items()}
    return Measured([Measurement(name, value, n) for name, value in found.items()], evidence)


def _by_class(labels: np.ndarray, scores: np.ndarray) -> dict[str, list[float]]:
    edges = np.linspace(0, 1, 21)
    shares = {
        name: np.histogram(scores[labels == label], edges)[0] / max(1, (labels == label).sum())
        for label, name in ((0, "legitimate"), (1, "adverse"))
    }
    return {
        "edges": edges.round(2).tolist(),
        **{name: share.round(5).tolist() for name, share in shares.items()},
    }
