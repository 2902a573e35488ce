"""Flag and error rates between groups. The model's positive is the adverse outcome: being flagged is the harm.

The named rates come from fairlearn's MetricFrame. What is measured is the worst ratio of a group's rate to that of
the rest, and how likely a difference like that is by chance: Fisher's exact test, Holm's correction over the groups of
an attribute. A bare four-fifths ratio raises false alarms on small groups, so a limit can ask for both.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from fairlearn.metrics import MetricFrame, count, false_negative_rate, false_positive_rate, selection_rate
from scipy.stats import fisher_exact

from monitoring.checks.holm import holm
from monitoring.measurement import Measured, Measurement

RATES = {"flag_rate": selection_rate, "fpr": false_positive_rate, "fnr": false_negative_rate}


class Compared(NamedTuple):
    """A group against the rest: the ratio of the higher rate to the lower, and its adjusted p-value."""

    ratio: float
    p: float


def measure(
    labels: np.ndarray,
    flagged: np.ndarray,
    groups: Mapping[str, np.ndarray],
    *,
    smallest: int,
    alphas: Mapping[str, float],
) -> Measured:
    """Measure flags of shape (n,) by each protected attribute (name → group of each row, as text).

    `smallest`: rows below which a group's rate is not compared; the group is still shown. `alphas`: measurement →
    the level its limit asks for. Of the groups that differ at that level the worst is measured; if none does, the
    worst of all, whose p-value then says that it may be chance.
    """
    if not flagged.any():
        n = len(flagged)
        undefined = [Measurement(f"{rate}_ratio", None, n, attribute) for attribute in groups for rate in RATES]
        return Measured(undefined, {"flagged": 0})
    measurements, evidence = [], {}
    for attribute, membership in groups.items():
        rows = _rates(labels, flagged, membership)
        for rate, (events, rows_of) in _events(labels, flagged).items():
            found, n = _compare(events[rows_of], membership[rows_of], smallest)
            worst = _worst(found, alphas.get(f"{rate}_ratio", 1.0))
            measurements.append(Measurement(f"{rate}_ratio", worst and worst.ratio, n, attribute, worst and worst.p))
            for row in rows:
                row[f"{rate}_p"] = found[row["group"]].p if row["group"] in found else None
        evidence[attribute] = rows
    return Measured(measurements, {"flagged": int(flagged.sum()), "groups": evidence})


def _rates(labels: np.ndarray, flagged: np.ndarray, membership: np.ndarray) -> list[dict[str, object]]:
    frame = MetricFrame(metrics={"n": count, **RATES}, y_true=labels, y_pred=flagged, sensitive_features=membership)
    return [{"group": str(name), **values} for name, values in frame.by_group.to_dict("index").items()]


def _events(labels: np.ndarray, flagged: np.ndarray) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return rate → the harmful event of each row, and the rows among which it is counted."""
    return {
        "flag_rate": (flagged, np.ones(len(labels), bool)),
        "fpr": (flagged, labels == 0),
        "fnr": (~flagged, labels == 1),
    }


def _compare(events: np.ndarray, membership: np.ndarray, smallest: int) -> tuple[dict[str, Compared], int]:
    """Compare each large enough group with the rest of them; return also the rows of the smallest compared.

    Where there is no such pair of groups, nothing is compared, and the rows are all that were looked at.
    """
    sizes = dict(zip(*np.unique(membership, return_counts=True), strict=True))
    names = [name for name, size in sizes.items() if size >= smallest]
    if len(names) < 2:
        return {}, len(membership)
    kept = np.isin(membership, names)
    tests = {str(name): _against_rest(events[kept], membership[kept] == name) for name in names}
    # Of two groups each is the other's rest: one test, told from both sides.
    family = dict(list(tests.items())[: 1 if len(names) == 2 else None])
    adjusted = holm({name: p for name, (_, p) in family.items()})
    found = {name: Compared(ratio, adjusted.get(name, p)) for name, (ratio, p) in tests.items()}
    return found, int(min(sizes[name] for name in names))


def _against_rest(events: np.ndarray, inside: np.ndarray) -> tuple[float, float]:
    """Return the ratio of the rates, half an event added so that none is zero, and the p-value of no difference."""
    if not events.any():
        return 1.0, 1.0
    table = [[int(events[side].sum()), int((~events[side]).sum())] for side in (inside, ~inside)]
    rates = [(cells[0] + 0.5) / (sum(cells) + 1) for cells in table]
    return max(rates) / min(rates), float(fisher_exact(table).pvalue)


def _worst(found: Mapping[str, Compared], alpha: float) -> Compared | None:
    significant = [each for each in found.values() if each.p < alpha]
    return max(significant or found.values(), default=None)
