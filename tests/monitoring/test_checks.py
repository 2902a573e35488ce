"""The mathematics against independent answers, and verdicts that never pass what was not measured."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from monitoring import frames, verdicts
from monitoring.checks import bias, consistency, drift, performance
from monitoring.measurement import Measurement
from registry.schema import Column, Schema

CHANCE = np.random.default_rng(5)


def values(measured):
    return {(m.name, m.slice): m.value for m in measured.measurements}


def test_performance_by_hand():
    labels = np.array([0, 0, 0, 0, 1, 0, 1, 1, 0, 1])
    scores = np.array([0.1, 0.2, 0.3, 0.35, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9])
    found = values(performance.measure(labels, scores, budget=0.2))
    assert found["roc_auc", ""] == roc_auc_score(labels, scores)
    assert found["recall_at_budget", ""] == 0.25  # the best two hold one of four
    assert found["precision_at_budget", ""] == 0.5
    assert found["brier", ""] == pytest.approx(np.mean((scores - labels) ** 2))


def test_ties_never_exceed_the_review_budget():
    labels = np.array([0, 1] * 50)
    scores = np.array([0.2] * 60 + [0.9] * 40)
    found = values(performance.measure(labels, scores, budget=0.05))
    assert found["recall_at_budget", ""] == 0  # forty rows share the best score; reviewers can look at five
    assert found["precision_at_budget", ""] is None
    assert performance.threshold_at(scores, 0.4) == 0.9


def test_performance_of_one_class_is_undefined_not_perfect():
    measured = performance.measure(np.zeros(900, int), CHANCE.random(900), budget=0.05)
    verdict, reasons = verdicts.judge(measured.measurements, {"roc_auc": {"fail_below": 0.7}})
    assert (verdict, "roc_auc" in reasons[0]) == ("insufficient", True)


def test_a_group_flagged_five_times_as_often_is_found():
    group = np.repeat(["a", "b"], 2000)
    flagged = np.concatenate([CHANCE.random(2000) < 0.02, CHANCE.random(2000) < 0.10])
    found = values(bias.measure(np.zeros(4000, int), flagged, {"sex": group}))
    assert 3 < found["flag_rate_ratio", "sex"] < 8


def test_fair_models_are_rarely_accused():
    accused = 0
    for _ in range(100):
        group = CHANCE.choice(["a", "b", "c", "d"], 3000, p=[0.5, 0.3, 0.15, 0.05])
        flagged = CHANCE.random(3000) < 0.05
        accused += values(bias.measure(np.zeros(3000, int), flagged, {"g": group}))["flag_rate_ratio", "g"] > 1.25
    assert accused <= 12  # nominal 5 %; a bare four-fifths rule accuses three of four


def test_a_tiny_group_is_shown_but_not_compared():
    group = np.array(["a"] * 500 + ["b"] * 5)
    flagged = np.array([False] * 500 + [True] * 5)
    measured = bias.measure(np.zeros(505, int), flagged, {"g": group})
    assert values(measured)["flag_rate_ratio", "g"] is None
    assert {row["group"]: row["n"] for row in measured.evidence["groups"]["g"]} == {"a": 500, "b": 5}


def test_holm_by_hand():
    assert bias.holm({"a": 0.01, "b": 0.04, "c": 0.03}) == pytest.approx({"a": 0.03, "c": 0.06, "b": 0.06})


def test_consistency_counts_differences_and_flips():
    batch = np.linspace(0, 1, 100)
    measured = consistency.measure(
        golden=(batch, batch + 1e-12), online=batch[:10], batch=batch, champion=batch[::-1], budget=0.1
    )
    found = values(measured)
    assert found["golden_mismatches", ""] > 50
    assert found["online_batch_difference", ""] == 0
    assert found["decision_flips", ""] == pytest.approx(0.2)


def test_drift_holds_its_level_and_has_power():
    false, true = 0, 0
    for _ in range(60):
        reference = {f"c{i}": CHANCE.normal(size=4000) for i in range(8)}
        same = {name: CHANCE.normal(size=500) for name in reference}
        moved = {name: CHANCE.normal(0.8 if name == "c0" else 0, size=500) for name in reference}
        false += values(drift.measure(reference, same))["drifted_columns", ""] > 0
        found = drift.measure(reference, moved)
        true += found.evidence["columns"]["c0"]["drifted"]
    assert false <= 3
    assert true >= 57


def test_drift_sees_missing_values_arrive():
    reference = {"x": CHANCE.normal(size=3000)}
    current = np.where(CHANCE.random(500) < 0.3, np.nan, CHANCE.normal(size=500))
    assert values(drift.measure(reference, {"x": current}))["drifted_columns", ""] == 1


@pytest.mark.parametrize(
    ("value", "n", "limit", "verdict"),
    [
        (0.8, 900, {"fail_below": 0.7, "warn_below": 0.75}, "pass"),
        (0.72, 900, {"fail_below": 0.7, "warn_below": 0.75}, "warn"),
        (0.6, 900, {"fail_below": 0.7, "warn_below": 0.75}, "fail"),
        (0.8, 100, {"fail_below": 0.7, "minimum_n": 500}, "insufficient"),
        (None, 900, {"fail_below": 0.7}, "insufficient"),
        (1e-9, 900, {"fail_above": 0}, "fail"),
    ],
)
def test_a_verdict_is_measurement_and_limit(value, n, limit, verdict):
    assert verdicts.judge([Measurement("m", value, n)], {"m": limit})[0] == verdict


def test_what_many_rows_cannot_tell_is_not_put_down_to_few_rows():
    measured = bias.measure(np.zeros(900, int), CHANCE.random(900) < 0.1, {"town": np.arange(900) % 45})
    verdict, reasons = verdicts.judge(measured.measurements, {"flag_rate_ratio": {"minimum_n": 200}})
    assert verdict == "insufficient"
    assert reasons == ["flag_rate_ratio (town) cannot be told from these 900 rows: too few of a kind"]


def test_what_was_not_measured_is_never_a_pass():
    assert verdicts.judge([], {"m": {"fail_below": 1}})[0] == "insufficient"
    assert verdicts.worst([]) == "insufficient"
    assert verdicts.worst(["pass", "insufficient", "warn"]) == "insufficient"


def test_a_frame_is_encoded_as_single_rows_are():
    schema = Schema(
        (
            Column("n", "number", True),
            Column("i", "integer"),
            Column("b", "boolean", True),
            Column("c", "category", True, ("x", "y")),
            Column("d", "date", True),
        )
    )
    frame = pd.DataFrame(
        {
            "n": [1.5, None],
            "i": [1, 2],
            "b": pd.array([True, None], dtype="boolean"),
            "c": ["y", None],
            "d": pd.to_datetime(["2026-01-31", None]),
        }
    )
    batch = frames.encode(frame, schema)
    single = np.array([schema.vector(frames.plain(row, schema)) for row in frame.to_dict("records")])
    assert np.array_equal(batch, single, equal_nan=True)
