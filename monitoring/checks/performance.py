"""How well scores order and price the risk: discrimination, calibration, and what the review budget catches."""

import numpy as np
from sklearn.metrics import average_precision_score, brier_score_loss, roc_auc_score, roc_curve

from monitoring.measurement import Measured, Measurement


def threshold_at(scores: np.ndarray, budget: float) -> float:
    """Return the score above which a share `budget` of the rows lies: what reviewers can look at."""
    return float(np.quantile(scores, 1 - budget))


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
        "precision_at_budget": labels[flagged].mean(),
    }
    step = max(1, len(false_rate) // 100)
    evidence = {
        "rows": n,
        "positives": positives,
        "budget": budget,
        "roc": np.column_stack([false_rate, true_rate])[::step].round(4).tolist(),
        "scores": _by_class(labels, scores),
    }
    return Measured([Measurement(name, float(value), n) for name, value in values.items()], evidence)


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
