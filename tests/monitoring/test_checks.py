"""The mathematics against independent answers, and verdicts that never pass what was not measured."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import fisher_exact
from sklearn.metrics import roc_auc_score

from governance.policy_defaults import DEFAULTS
from monitoring import frames, pictures, verdicts
from monitoring.checks import bias, consistency, drift, performance, safety
from monitoring.checks.holm import holm
from monitoring.measurement import Measurement
from monitoring.models import MonitorRun
from registry import canonical
from registry.refusals import Invalid
from registry.schema import Column, Schema

MATERIAL = {"delta": 0.02, "alpha": 0.01}


@pytest.fixture
def chance():
    """Chance that falls alike each time, whichever tests ran before."""
    return np.random.default_rng(5)


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


def test_performance_of_one_class_is_undefined_not_perfect(chance):
    measured = performance.measure(np.zeros(900, int), chance.random(900), budget=0.05)
    verdict, reasons = verdicts.judge(measured.measurements, {"roc_auc": {"fail_below": 0.7}})
    assert (verdict, "roc_auc" in reasons[0]) == ("insufficient", True)


def compared(flagged, group, labels=None, alpha=0.05):
    """Return the measurements of one attribute by name."""
    labels = np.zeros(len(group), int) if labels is None else labels
    alphas = {"flag_rate_ratio": alpha, "fpr_ratio": alpha}
    measured = bias.measure(labels, flagged, {"g": group}, smallest=30, alphas=alphas)
    return {m.name: m for m in measured.measurements}


def judged(measurement):
    limit = {"warn_above": 1.25, "fail_above": 4.0, "alpha": 0.05, "minimum_n": 30}
    return verdicts.judge([measurement], {measurement.name: limit})[0]


def test_a_group_flagged_five_times_as_often_is_found(chance):
    group = np.repeat(["a", "b"], 2000)
    flagged = np.concatenate([chance.random(2000) < 0.02, chance.random(2000) < 0.10])
    found = compared(flagged, group)["flag_rate_ratio"]
    assert 3 < found.value < 8
    assert found.p < 1e-6
    assert judged(found) in ("warn", "fail")


def test_fair_models_are_rarely_accused(chance):
    accused = 0
    for _ in range(100):
        group = chance.choice(["a", "b", "c", "d"], 3000, p=[0.5, 0.3, 0.15, 0.05])
        accused += judged(compared(chance.random(3000) < 0.05, group)["flag_rate_ratio"]) != "pass"
    assert accused <= 12  # nominal 5 %; a bare four-fifths rule accuses three of four


def test_two_groups_are_one_test_and_keep_its_whole_power():
    group = np.repeat(["a", "b"], 400)
    flagged = np.concatenate([np.arange(400) < 20, np.arange(400) < 36])
    found = compared(flagged, group)["flag_rate_ratio"]
    assert found.p == pytest.approx(fisher_exact([[20, 380], [36, 364]]).pvalue)
    assert (0.025 < found.p < 0.05, judged(found)) == (True, "warn")


def test_the_ratio_is_what_it_is_even_where_it_may_be_chance():
    group = np.repeat(["a", "b"], 100)
    flagged = np.concatenate([np.arange(100) < 2, np.arange(100) < 5])
    found = compared(flagged, group)["flag_rate_ratio"]
    assert found.value == pytest.approx((5.5 / 101) / (2.5 / 101))
    assert (found.p > 0.05, judged(found)) == (True, "pass")


def test_a_small_groups_luck_does_not_hide_a_large_groups_wrong():
    group = np.repeat(["few", "many", "rest"], [40, 3000, 3000])
    flagged = np.concatenate([np.arange(40) < 5, np.arange(3000) < 240, np.arange(3000) < 120])
    found = compared(flagged, group)["flag_rate_ratio"]
    assert found.value == pytest.approx(2, abs=0.1)  # that of few is larger, and not significant
    assert judged(found) == "warn"
    assert found.n == 40


def test_nothing_flagged_says_nothing_about_fairness():
    found = compared(np.zeros(800, bool), np.repeat(["a", "b"], 400))["flag_rate_ratio"]
    assert (found.value, judged(found)) == (None, "insufficient")


def test_missed_fraud_is_compared_between_groups_too():
    group = np.repeat(["a", "b"], 1000)
    labels = np.tile(np.arange(1000) < 100, 2).astype(int)
    flagged = (np.arange(2000) < 90) | ((np.arange(2000) >= 1000) & (np.arange(2000) < 1030))
    found = compared(flagged, group, labels)["fnr_ratio"]
    assert found.value == pytest.approx((70.5 / 101) / (10.5 / 101))
    assert (found.n, found.p < 1e-6) == (100, True)


def test_a_tiny_group_is_shown_but_not_compared():
    group = np.array(["a"] * 500 + ["b"] * 5)
    flagged = np.array([False] * 500 + [True] * 5)
    measured = bias.measure(np.zeros(505, int), flagged, {"g": group}, smallest=30, alphas={})
    assert values(measured)["flag_rate_ratio", "g"] is None
    assert {row["group"]: row["n"] for row in measured.evidence["groups"]["g"]} == {"a": 500, "b": 5}


def test_holm_by_hand():
    assert holm({"a": 0.01, "b": 0.04, "c": 0.03}) == pytest.approx({"a": 0.03, "c": 0.06, "b": 0.06})


def test_consistency_counts_differences_and_flips():
    batch = np.linspace(0, 1, 100)
    measured = consistency.measure(
        golden=(batch, batch + 1e-12), online=batch[:10], batch=batch, champion=batch[::-1], budget=0.1
    )
    found = values(measured)
    assert found["golden_mismatches", ""] > 50
    assert found["online_batch_difference", ""] == 0
    assert found["decision_flips", ""] == pytest.approx(0.2)


def test_drift_holds_its_level_and_has_power(chance):
    false, true = 0, 0
    for _ in range(60):
        reference = {f"c{i}": chance.normal(size=4000) for i in range(8)}
        same = {name: chance.normal(size=500) for name in reference}
        moved = {name: chance.normal(0.8 if name == "c0" else 0, size=500) for name in reference}
        false += values(drift.measure(reference, same, **MATERIAL))["drifted_columns", ""] > 0
        found = drift.measure(reference, moved, **MATERIAL)
        true += found.evidence["columns"]["c0"]["drifted"]
    assert false <= 3
    assert true >= 57


def test_drift_sees_missing_values_arrive(chance):
    reference = {"x": chance.normal(size=3000)}
    current = np.where(chance.random(500) < 0.3, np.nan, chance.normal(size=500))
    assert values(drift.measure(reference, {"x": current}, **MATERIAL))["drifted_columns", ""] == 1


@pytest.mark.parametrize(
    ("reference", "current"),
    [
        (np.zeros(3000), np.ones(500)),  # a constant begins to vary
        (np.repeat([0.0, 1.0], 1500), np.repeat([0.0, 1.0, 7.0], [200, 200, 100])),  # a value never seen before
        (np.repeat([1.0, 2.0], 1500), np.repeat([1.0, 2.0, 1.4], [200, 200, 100])),  # between two known ones
        (
            np.r_[np.zeros(2900), np.arange(1.0, 101)],
            np.r_[np.zeros(350), np.arange(1.0, 151)],
        ),  # beside a frequent one
    ],
)
def test_drift_sees_values_that_no_bin_of_the_reference_was_made_for(reference, current):
    measured = drift.measure({"x": reference}, {"x": current}, **MATERIAL)
    assert measured.evidence["columns"]["x"]["drifted"]
    assert values(measured)["largest_psi", ""] > 0.1


def test_a_constant_that_stays_is_no_drift():
    measured = drift.measure({"x": np.full(3000, 4.0)}, {"x": np.full(500, 4.0)}, **MATERIAL)
    assert values(measured)["drifted_columns", ""] == 0


@pytest.mark.parametrize(
    ("reference", "kind", "labels"),
    [
        ([0, 1, 1], {"kind": "category", "categories": ["x", "y", "z"]}, ["x", "y", "other"]),
        ([0, 1, 1], {"kind": "boolean"}, ["no", "yes", "other"]),
        ([5, 5, 8], {"kind": "integer"}, ["5", "8", "other"]),
        ([5.25], {"kind": "number"}, ["5.25", "other"]),
        ([20484], {"kind": "date"}, ["2026-01-31", "other"]),
        ([np.nan], {"kind": "number"}, ["all"]),
    ],
)
def test_the_pictures_name_the_bins_that_were_counted(reference, kind, labels):
    column, window = np.array(reference, float), np.array([*reference, 2, np.nan], float)
    measured = drift.measure({"c": column}, {"c": window}, **MATERIAL)
    run = MonitorRun(evidence=measured.evidence)
    table = pictures.columns(run, [{"name": "c", **kind}], "now")[0].chart.rows
    assert [row[0] for row in table] == [*labels, "missing"]


def test_frequent_values_and_spans_between_are_named_apart():
    column = np.r_[np.zeros(900), np.arange(1.0, 901)]
    measured = drift.measure({"c": column}, {"c": column}, **MATERIAL)
    table = pictures.columns(MonitorRun(evidence=measured.evidence), [{"name": "c", "kind": "integer"}], "now")
    labels = [row[0] for row in table[0].chart.rows]
    assert labels == ["0", "≤ 180", "181 to 360", "361 to 540", "541 to 720", "≥ 721"]


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


def test_what_many_rows_cannot_tell_is_not_put_down_to_few_rows(chance):
    towns = {"town": np.arange(900) % 45}
    measured = bias.measure(np.zeros(900, int), chance.random(900) < 0.1, towns, smallest=30, alphas={})
    verdict, reasons = verdicts.judge(measured.measurements, {"flag_rate_ratio": {"minimum_n": 200}})
    assert verdict == "insufficient"
    assert reasons == ["flag_rate_ratio (town) cannot be told from these 900 rows: too few of a kind"]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -np.inf])
def test_a_number_that_is_not_finite_is_undefined(value):
    measurement = Measurement("m", value, 900, p=value)
    assert (measurement.value, measurement.p) == (None, None)
    assert verdicts.judge([measurement], {"m": {"fail_above": 1}})[0] == "insufficient"
    assert canonical.digest(measurement.dump())


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


def test_rows_that_serving_refuses_are_told_apart_exactly():
    schema = Schema(
        (
            Column("n", "number", True),
            Column("i", "integer"),
            Column("b", "boolean", True),
            Column("c", "category", False, ("x", "y")),
            Column("d", "date", True),
        )
    )
    good = {"n": 1.5, "i": 1, "b": True, "c": "x", "d": "2026-01-31"}
    wrong = [{"c": "unseen"}, {"c": None}, {"i": None}, {"i": 0.5}, {"n": float("inf")}, {"i": 2.0**60}, {"d": "soon"}]
    right = [{}, {"n": None}, {"b": None}, {"d": None}, {"n": -0.0}]
    rows = [good | change for change in wrong + right]
    fit = frames.scorable(pd.DataFrame(rows).astype({"b": "boolean"}), schema)
    assert fit.tolist() == [False] * len(wrong) + [True] * len(right)
    for row, fits in zip(rows, fit, strict=True):
        try:
            schema.vector(row)
            assert fits
        except Invalid:
            assert not fits


def test_safety_counts_what_a_scan_found_and_the_sentences_are_the_evidence():
    scan = {"scanner": "picklescan 1", "dangerous": ["a imports os.system"], "bombs": [], "code": [], "pickles": ["a"]}
    measured = safety.measure(scan, 3)
    assert {item.name: (item.value, item.n) for item in measured.measurements} == {
        "dangerous": (1, 3),
        "bombs": (0, 3),
        "code": (0, 3),
        "pickles": (1, 3),
    }
    assert measured.evidence == {"scanner": "picklescan 1", "dangerous": ["a imports os.system"], "pickles": ["a"]}
    limits = DEFAULTS[1]["checks"]["safety"]
    assert verdicts.judge(measured.measurements, limits)[0] == "fail"
    assert verdicts.judge(safety.measure(scan | {"dangerous": []}, 3).measurements, limits)[0] == "warn"
