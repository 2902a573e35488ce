"""The simulated world holds what its docstring promises, since demo and benchmarks rest on it."""

from datetime import UTC, datetime, timedelta
from typing import Any

import lightgbm
import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from governance.demo.payments import (
    AGE_BANDS,
    CATEGORIES,
    CHANNELS,
    COUNTRIES,
    DEVICE,
    DISPUTE_DAYS,
    ENTITY,
    FEATURES,
    ID,
    KINDS,
    LABEL,
    LABEL_AT,
    PROTECTED,
    SEXES,
    START,
    TIME,
    TYPOLOGY,
    Scenario,
    simulate,
)

SIZE = 24_000  # about 600 frauds: enough for an AUC that a seed moves by 0.01 only
LEVELS = {"category": CATEGORIES, "channel": CHANNELS, "home_country": COUNTRIES}
LATER = START + timedelta(days=60)
MAY_MISS = {
    "device_age_days",
    "beneficiary_age_days",
    "counterparty_risk",
    "amount_vs_usual",
    "minutes_since_last",
}


def inputs(frame: pd.DataFrame) -> pd.DataFrame:
    columns = frame.reindex(columns=list(FEATURES))
    return columns.assign(**{n: pd.Categorical(columns[n], lv) for n, lv in LEVELS.items()})


def auc(model: Any, frame: pd.DataFrame) -> float:
    return float(roc_auc_score(frame[LABEL], model.predict_proba(inputs(frame))[:, 1]))


def psi(name: str, before: pd.DataFrame, after: pd.DataFrame) -> float:
    """Over the deciles (or levels) of the first, missing values being a bin of their own."""
    old, new = before[name].to_numpy(), after[name].to_numpy()
    if FEATURES[name] == "category":
        old, new = (pd.Categorical(v, LEVELS[name]).codes.astype(float) for v in (old, new))
    edges = np.unique(np.nanquantile(old.astype(float), np.arange(0.1, 1, 0.1)))

    def shares(values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        bins = np.where(pd.isna(values), len(edges) + 1, np.searchsorted(edges, values, "right"))
        return np.bincount(bins, minlength=len(edges) + 2) / len(values) + 1e-4

    p, q = shares(old.astype(float)), shares(new.astype(float))
    return float(((p - q) * np.log(p / q)).sum())


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    return simulate(SIZE, seed=7)


@pytest.fixture(scope="module")
def drifted() -> pd.DataFrame:
    return simulate(SIZE, seed=7, start=LATER, scenario=Scenario(drift=1.0))


@pytest.fixture(scope="module")
def model(frame: pd.DataFrame) -> Any:
    """Trained on the first 70 % of the time."""
    train = frame[: int(SIZE * 0.7)]
    trees = lightgbm.LGBMClassifier(
        n_estimators=100, num_leaves=15, learning_rate=0.06, min_child_samples=40,
        n_jobs=1, random_state=0, deterministic=True, verbose=-1,
    )  # fmt: skip
    return trees.fit(inputs(train), train[LABEL])


@pytest.fixture(scope="module")
def held_out(frame: pd.DataFrame) -> pd.DataFrame:
    return frame[int(SIZE * 0.7) :]


def test_a_seed_and_a_start_name_one_stream() -> None:
    first = simulate(2_000, seed=3)
    pd.testing.assert_frame_equal(first, simulate(2_000, seed=3))
    assert not first["amount"].equals(simulate(2_000, seed=4)["amount"])
    later = simulate(2_000, seed=3, start=LATER)
    assert not first["amount"].equals(later["amount"])
    assert not set(first[ID]) & set(later[ID])


def test_a_later_window_continues_with_the_same_customers(frame: pd.DataFrame) -> None:
    later = simulate(SIZE, seed=7, start=LATER)
    fixed = [*PROTECTED, "home_country"]
    before, after = (f.groupby(ENTITY)[fixed].first() for f in (frame, later))
    both = before.index.intersection(after.index)
    assert len(both) > 0.8 * len(before)
    pd.testing.assert_frame_equal(before.loc[both], after.loc[both])
    age, older = (f.groupby(ENTITY)["account_age_days"].max()[both] for f in (frame, later))
    assert (older > age).all()


def test_columns_kinds_and_levels(frame: pd.DataFrame) -> None:
    labels = [LABEL, LABEL_AT, TYPOLOGY]
    assert list(frame.columns) == [ID, TIME, ENTITY, *FEATURES, *PROTECTED, *labels]
    kinds = {"number": "f", "integer": "i", "boolean": "b", "category": "O"}
    assert {n: frame[n].dtype.kind for n in FEATURES} == {n: kinds[k] for n, k in FEATURES.items()}
    assert not set(PROTECTED) & set(FEATURES)
    levels = LEVELS | {"age_band": AGE_BANDS, "sex": SEXES, TYPOLOGY: KINDS[:-1], LABEL: (0, 1)}
    for name, known in levels.items():
        assert set(frame[name]) == set(known)
    assert (frame[frame[LABEL] == 1][TYPOLOGY] != "").all()
    assert (frame[frame[LABEL] == 0][TYPOLOGY] == "").all()


def test_only_the_documented_values_are_missing(frame: pd.DataFrame, drifted: pd.DataFrame) -> None:
    for stream in (frame, drifted):
        missing = stream.isna().any()
        assert set(missing[missing].index) == MAY_MISS


def test_time_order_within_the_window(frame: pd.DataFrame) -> None:
    assert len(frame) == SIZE
    assert frame[ID].is_unique
    assert frame[TIME].is_monotonic_increasing
    assert frame[TIME].min() >= START
    assert frame[TIME].max() < START + timedelta(days=60)
    assert (frame["hour"] == frame[TIME].dt.hour).all()
    assert (frame["weekday"] == frame[TIME].dt.dayofweek).all()


@pytest.mark.parametrize("size", [1, 2, 30])
def test_small_streams(size: int) -> None:
    assert len(simulate(size, seed=0, days=1)) == size


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_base_rate(seed: int) -> None:
    assert 0.02 <= simulate(20_000, seed=seed)[LABEL].mean() <= 0.032


def test_activity_is_heavy_tailed(frame: pd.DataFrame) -> None:
    counts = frame[ENTITY].value_counts()
    assert 0.35 < counts[: len(counts) // 10].sum() / SIZE < 0.65


def test_velocity_counts_only_earlier_payments_of_the_customer(frame: pd.DataFrame) -> None:
    busy = frame.sample(150, random_state=0).index.union(frame.nlargest(50, "count_1h").index)
    for _, row in frame.loc[busy].iterrows():
        past = frame[(frame[ENTITY] == row[ENTITY]) & (frame[TIME] < row[TIME])]
        for name, hours in (("1h", 1), ("24h", 24)):
            window = past[past[TIME] >= row[TIME] - timedelta(hours=hours)]
            assert row[f"count_{name}"] == len(window)
            assert row[f"amount_{name}"] == pytest.approx(window["amount"].sum())
        if past.empty:
            assert np.isnan(row["minutes_since_last"])
            assert np.isnan(row["amount_vs_usual"])
        else:
            gap = (row[TIME] - past[TIME].max()) / timedelta(minutes=1)
            assert row["minutes_since_last"] == pytest.approx(gap, abs=0.01)
            usual = row["amount"] / past["amount"].mean()
            assert row["amount_vs_usual"] == pytest.approx(usual, abs=0.001)


def test_the_truth_is_never_known_before_the_payment(frame: pd.DataFrame) -> None:
    delay = frame[LABEL_AT] - frame[TIME]
    fraud = frame[LABEL] == 1
    assert (delay > timedelta(0)).all()
    assert (delay[~fraud] == timedelta(days=DISPUTE_DAYS)).all()
    assert timedelta(days=2) < delay[fraud].median() < timedelta(days=15)
    assert delay[fraud].nunique() > 0.9 * fraud.sum()


def test_typologies_look_as_described(frame: pd.DataFrame) -> None:
    kinds = frame.groupby(TYPOLOGY)
    amount, young = kinds["amount"].median(), kinds["account_age_days"].median()
    new, home = kinds["new_device"].mean(), kinds["ip_country_match"].mean()
    assert amount["card_testing"] < amount[""] / 3
    assert amount["app_scam"] > amount[""] * 4
    assert new["account_takeover"] > 0.5 > home["account_takeover"] / 1.5
    assert new["app_scam"] < 0.25
    assert young["mule"] < young[""] / 2
    assert kinds["inflow_24h"].median()["mule"] > 0


def test_a_model_finds_most_but_not_all(model: Any, held_out: pd.DataFrame) -> None:
    assert 0.85 < auc(model, held_out) < 0.97


def test_drift_moves_the_inputs_and_costs_accuracy(
    model: Any, frame: pd.DataFrame, held_out: pd.DataFrame, drifted: pd.DataFrame
) -> None:
    calm = simulate(SIZE, seed=7, start=LATER)
    moved = {name for name in FEATURES if psi(name, frame, drifted) > 0.25}
    assert {"amount", "channel", "device_age_days"} <= moved
    assert not {name for name in FEATURES if psi(name, frame, calm) > 0.1}
    assert auc(model, drifted) < min(auc(model, calm), auc(model, held_out)) - 0.03


def test_a_new_typology_escapes_the_model(model: Any) -> None:
    stream = simulate(SIZE, seed=7, start=LATER, scenario=Scenario(new_typology=True))
    fraud = stream[stream[LABEL] == 1]
    assert 0.3 < (fraud[TYPOLOGY] == KINDS[-1]).mean() < 0.5
    assert 0.02 <= stream[LABEL].mean() <= 0.032
    known = stream[stream[TYPOLOGY] != KINDS[-1]]
    assert auc(model, stream) < auc(model, known) - 0.05


def test_groups_are_flagged_at_different_rates_but_not_absurdly(model: Any, held_out: pd.DataFrame) -> None:
    scores = model.predict_proba(inputs(held_out))[:, 1]
    flagged = pd.Series(scores > np.quantile(scores, 0.95), index=held_out.index)
    for name in PROTECTED:
        rates = flagged.groupby(held_out[name]).mean()
        assert rates.nunique() > 1
        assert 0.4 < rates.min() / rates.max() < 1
    tenure = held_out.groupby("age_band")["account_age_days"].median()
    assert list(tenure[list(AGE_BANDS)]) == sorted(tenure)


def test_a_schema_break_sends_cents_and_no_device() -> None:
    whole = simulate(3_000, seed=5)
    broken = simulate(3_000, seed=5, scenario=Scenario(schema_break=True))
    assert set(whole.columns) - set(broken.columns) == set(DEVICE)
    assert broken["amount"].dtype.kind == "i"
    np.testing.assert_allclose(broken["amount"], whole["amount"] * 100)
    rest = [name for name in broken.columns if name != "amount"]
    pd.testing.assert_frame_equal(broken[rest], whole[rest])


@pytest.mark.parametrize(
    "wrong",
    [
        {"payments": 0},
        {"days": 0},
        {"start": datetime(2026, 1, 5, tzinfo=UTC).replace(tzinfo=None)},
        {"scenario": Scenario(drift=1.5)},
    ],
)
def test_what_cannot_be_simulated_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="at least one payment"):
        simulate(**{"payments": 10, "seed": 1, **wrong})
