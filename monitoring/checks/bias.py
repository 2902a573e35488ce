"""Flag and error rates between groups. The model's positive is the adverse outcome: being flagged is the harm.

Point values come from fairlearn's MetricFrame. A difference counts when it is material and significant: each group
against the rest, Fisher's exact test, Holm's correction over the groups of an attribute; a bare four-fifths ratio
raises false alarms on small groups.
"""

from collections.abc import Mapping

import numpy as np
from fairlearn.metrics import MetricFrame, count, false_negative_rate, false_positive_rate, selection_rate
from scipy.stats import fisher_exact

from monitoring.measurement import Measured, Measurement

ALPHA = 0.05  # family-wise, per attribute and rate
SMALLEST = 30  # rows of a group below which its rates are not compared; the group is still shown


def measure(labels: np.ndarray, flagged: np.ndarray, groups: Mapping[str, np.ndarray]) -> Measured:
    """Measure flags of shape (n,) by each protected attribute (name → group of each row, as text)."""
    measurements, evidence = [], {}
    for attribute, membership in groups.items():
        frame = MetricFrame(
            metrics={
                "n": count,
                "flag_rate": selection_rate,
                "fpr": false_positive_rate,
                "fnr": false_negative_rate,
            },
            y_true=labels,
            y_pred=flagged,
            sensitive_features=membership,
        )
        rows = [{"group": str(name), **values} for name, values in frame.by_group.to_dict("index").items()]
        legitimate = labels == 0
        for rate, mask in (("flag_rate", np.ones(len(labels), bool)), ("fpr", legitimate)):
            ratio, n, compared = _worst_ratio(flagged[mask], membership[mask])
            measurements.append(Measurement(f"{rate}_ratio", ratio, n, attribute))
            for row in rows:
                row[f"{rate}_p"] = compared.get(row["group"])
        evidence[attribute] = rows
    return Measured(measurements, {"groups": evidence})


def _worst_ratio(flagged: np.ndarray, membership: np.ndarray) -> tuple[float | None, int, dict[str, float]]:
    """Return the largest significant ratio of a group's rate to the rest's (either way round; 1: none differs)."""
    names = [name for name in np.unique(membership) if (membership == name).sum() >= SMALLEST]
    if len(names) < 2:
        return None, len(flagged), {}
    compared = {}
    for name in names:
        inside = membership == name
        table = [[int(flagged[side].sum()), int((~flagged[side]).sum())] for side in (inside, ~inside)]
        rates = [(cells[0] + 0.5) / (sum(cells) + 1) for cells in table]
        compared[str(name)] = (float(fisher_exact(table).pvalue), max(rates) / min(rates))
    adjusted = holm({name: p for name, (p, _) in compared.items()})
    ratios = [ratio for name, (_, ratio) in compared.items() if adjusted[name] < ALPHA]
    return max(ratios, default=1.0), len(flagged), adjusted


def holm(p_values: Mapping[str, float]) -> dict[str, float]:
    """Return p-values adjusted by Holm's step-down method (1979)."""
    adjusted, highest = {}, 0.0
    for rank, (name, p) in enumerate(sorted(p_values.items(), key=lambda item: item[1])):
        highest = max(highest, min(1.0, p * (len(p_values) - rank)))
        adjusted[name] = highest
    return adjusted
