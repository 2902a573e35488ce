"""Evidence as rows and charts, for the pages of versions and of monitor runs. Light: nothing is measured here."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from monitoring import verdicts
from monitoring.measurement import Measurement
from monitoring.models import CheckResult, MonitorRun
from registry.schema import SCORE
from scoring import charts

NAMES = {
    "roc_auc": "ROC AUC",
    "pr_auc": "PR AUC",
    "ks": "Kolmogorov–Smirnov",
    "brier": "Brier score",
    "fpr_ratio": "False-positive-rate ratio",
    "fnr_ratio": "False-negative-rate ratio",
    "largest_psi": "Largest PSI of a drifted column",
}
LOWER_IS_BETTER = {
    "brier",
    "flag_rate_ratio",
    "fpr_ratio",
    "fnr_ratio",
    "unscorable_rows",
    "unscorable_share",
    "golden_difference",
    "golden_mismatches",
    "online_batch_difference",
    "explanation_difference",
    "explanation_mismatches",
    "drifted_columns",
    "drifted_share",
    "largest_psi",
}
AGAINST_CHAMPION = {"decision_flips"}  # compares with the champion already
_EPOCH = date(1970, 1, 1)


def name_of(measure: str) -> str:
    """Return the name of a measure as a person reads it."""
    return NAMES.get(measure, measure.replace("_", " ").capitalize())


@dataclass(frozen=True)
class Row:
    """One measurement beside the champion's, with its limit and verdict (empty: the policy sets no limit).

    `p`: how likely by chance, where that was tested.
    """

    name: str
    value: float | None
    p: float | None
    n: int
    champion: float | None
    change: float | None
    direction: str
    limit: str
    verdict: str


def rows(found: Sequence[Any], beside: Sequence[Any], limits: Mapping[str, Mapping[str, float]]) -> list[Row]:
    """Return measurements with those of the champion beside them; limited ones first."""
    champion = {(item["name"], item["slice"]): item["value"] for item in beside}
    made = [_row(item, champion.get((item["name"], item["slice"])), limits.get(item["name"])) for item in found]
    return sorted(made, key=lambda row: not row.limit)


def _row(item: Mapping[str, Any], champion: float | None, limit: Mapping[str, float] | None) -> Row:
    name, value = item["name"], item["value"]
    champion = None if name in AGAINST_CHAMPION else champion
    change = None if value is None or champion is None else value - champion
    return Row(
        name=f"{name_of(name)} ({item['slice'].replace('_', ' ')})" if item["slice"] else name_of(name),
        value=value,
        p=item["p"],
        n=item["n"],
        champion=champion,
        change=change,
        direction=_direction(name, change),
        limit=verdicts.describe(limit) if limit else "",
        verdict=verdicts.judge([Measurement(**item)], {name: limit})[0] if limit else "",
    )


def _direction(name: str, change: float | None) -> str:
    if change is None:
        return ""
    if not change:
        return "same"
    return "better" if (change < 0) == (name in LOWER_IS_BETTER) else "worse"


def scores(evidence: Mapping[str, Any]) -> charts.Chart | None:
    """Draw the scores of each class, where the evidence has them."""
    held = evidence.get("scores")
    if not held:
        return None
    edges = held["edges"]
    labels = [f"{low:g}–{high:g}" for low, high in zip(edges, edges[1:], strict=False)]
    series = {"legitimate": held["legitimate"], "adverse": held["adverse"]}
    return charts.bars("Scores by class", labels, series, first="Score")


def roc(evidence: Mapping[str, Any]) -> charts.Chart | None:
    """Draw the ROC curve, where the evidence has one."""
    points = evidence.get("roc")
    return charts.curve("ROC curve", points, "False-positive rate", "True-positive rate") if points else None


@dataclass(frozen=True)
class Column:
    """How one column moved."""

    name: str
    psi: float
    p: float
    state: str
    exhibit: float | None
    chart: charts.Chart


def columns(result: CheckResult | MonitorRun, schema: Sequence[Mapping[str, Any]], current: str) -> list[Column]:
    """Return the columns of a drift measurement, the most moved first, each drawn beside its reference."""
    shown = {item["column"]: item["value"] for item in result.evidence.get("evidently", ())}
    kinds = {column["name"]: column for column in schema}
    made = [
        Column(
            name=name,
            psi=column["psi"],
            p=column["p"],
            state="drifted" if column["drifted"] else "stable",
            exhibit=shown.get(name),
            chart=_compared(name, column, kinds.get(name, {}), current),
        )
        for name, column in result.evidence.get("columns", {}).items()
    ]
    return sorted(made, key=lambda column: (-column.psi, column.name))


def _compared(name: str, column: Mapping[str, Any], kind: Mapping[str, Any], current: str) -> charts.Chart:
    values, edges = column["values"], column["edges"]
    bars = zip([*_bins(values, edges, kind), "missing"], column["reference"], column["current"], strict=True)
    certain = len(values) + (len(edges) + 1 if edges or not values else 0)  # behind these: other, missing
    shown = [bar for place, bar in enumerate(bars) if place < certain or bar[1] or bar[2]]
    labels, before, after = (list(part) for part in zip(*shown, strict=True))
    return charts.bars(name, labels, {"reference": before, current: after}, first="Value")


def _bins(values: Sequence[float], edges: Sequence[float], kind: Mapping[str, Any]) -> list[str]:
    """Name the bins of frequent values, then the spans of all others: by the words of a category where it is one."""
    words = kind.get("categories") or (["no", "yes"] if kind.get("kind") == "boolean" else [])
    exact = [_exactly(value, kind, words) for value in values]
    if not edges:
        return [*exact, "other" if values else "all"]
    return exact + _span_names(values, edges, kind, words)


def _exactly(value: float, kind: Mapping[str, Any], words: Sequence[str]) -> str:
    if words and 0 <= value < len(words):
        return words[int(value)]
    if kind.get("kind") == "date":
        return _day(value)
    return str(round(value)) if kind.get("kind") == "integer" else f"{value:.6g}"


def _span_names(
    values: Sequence[float], edges: Sequence[float], kind: Mapping[str, Any], words: Sequence[str]
) -> list[str]:
    if words:
        others = {code: word for code, word in enumerate(words) if code not in values}
        return [_words(others, low, high) for low, high in _spans(edges)]
    if kind.get("kind") == "integer":
        return [_whole(low, high) for low, high in _spans(edges)]
    write = _day if kind.get("kind") == "date" else _plain
    inner = [f"{write(low)} to {write(high)}" for low, high in zip(edges, edges[1:], strict=False)]
    return [f"below {write(edges[0])}", *inner, f"from {write(edges[-1])}"]


def _spans(edges: Sequence[float]) -> list[tuple[float, float]]:
    return list(zip([float("-inf"), *edges], [*edges, float("inf")], strict=True))


def _words(words: Mapping[int, str], low: float, high: float) -> str:
    return ", ".join(word for code, word in words.items() if low <= code < high) or "none"


def _whole(low: float, high: float) -> str:
    """Name the whole numbers in a bin: its lower edge belongs to it, its upper to the next."""
    if math.isinf(low):
        return f"≤ {math.ceil(high) - 1}"
    first = math.ceil(low)
    if math.isinf(high):
        return f"≥ {first}"
    last = math.ceil(high) - 1
    return str(first) if first == last else f"{first} to {last}"


def _plain(value: float) -> str:
    return f"{value:.4g}"


def _day(value: float) -> str:
    return (_EPOCH + timedelta(days=round(value))).isoformat()


def psi_over_time(runs: Sequence[MonitorRun], limit: float | None) -> charts.Chart | None:
    """Draw the largest PSI and that of the score over drift runs, oldest first; None for fewer than two."""
    measured = [run for run in runs if run.evidence.get("columns")]
    if len(measured) < 2:
        return None
    moments = [f"{run.window_end:%m-%d %H:%M}" for run in measured]
    series = {
        "largest of any column": [
            max(column["psi"] for column in run.evidence["columns"].values()) for run in measured
        ],
        "of the score": [run.evidence["columns"].get(SCORE, {}).get("psi", 0.0) for run in measured],
    }
    return charts.trend("Population stability index by window", moments, series, limit=limit)
