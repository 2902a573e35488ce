"""A scikit-learn model walks to its checks: registered from MLflow's files, measured by the default policy."""

from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MaxAbsScaler, MinMaxScaler, RobustScaler, StandardScaler

from monitoring import performing, runs
from registry import datasets, policies, versions
from tests import builders

NAMES = ["amount", "hour", "distance", "age"]
SCALERS = {
    "alone": [],
    "standard": [StandardScaler()],
    "without mean": [StandardScaler(with_mean=False)],
    "without deviation": [StandardScaler(with_std=False)],
    "range": [MinMaxScaler()],
    "maximum": [MaxAbsScaler()],
    "quantiles": [RobustScaler()],
}


def payments(rows=600):
    chance = np.random.default_rng(5)
    frame = pd.DataFrame(chance.normal(size=(rows, 4)) * [900, 6, 40, 12] + [300, 12, 30, 45], columns=NAMES)
    frame["label"] = (frame.amount / 900 + frame.distance / 40 + chance.normal(size=rows) > 2).astype(int)
    return frame


def registered(people, model, folder: Path):
    frame = payments()
    model.fit(frame[NAMES], frame.label)
    # Row by row, as it will serve: the last bit of a batch's scores depends on how many rows it has.
    scores = [model.predict_proba(frame[NAMES].iloc[[place]])[0, 1] for place in range(200)]
    mlflow.sklearn.save_model(
        model,
        str(folder),
        signature=mlflow.models.infer_signature(frame[NAMES]),
        serialization_format="skops",
        skops_trusted_types=["numpy.dtype"],
    )
    feature = [{"name": name, "role": "feature"} for name in NAMES]
    sets = {
        "holdout": (frame, [*feature, {"name": "label", "role": "label", "kind": "integer"}]),
        "golden": (frame.head(200).assign(score=scores), [*feature, {"name": "score", "role": "score"}]),
    }
    return versions.register(
        model=builders.a_model(people.ada),
        files={str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()},
        by=people.ada,
        now=builders.now(),
        lineage={"source": "test"},
        data={
            role: datasets.register(
                data=builders.parquet(table), name=role, columns=columns, by=people.ada, now=builders.now()
            )
            for role, (table, columns) in sets.items()
        },
    )


@pytest.mark.parametrize("scaler", SCALERS)
def test_logistic_regression_repeats_its_author_to_the_bit_under_the_default_policy(people, tmp_path, scaler):
    version = registered(people, make_pipeline(*SCALERS[scaler], LogisticRegression()), tmp_path / "model")
    assert version.unservable == ""
    runs.open_missing(builders.now())
    run = version.check_runs.get(check_name="consistency", policy=policies.in_force(1))
    result = performing.perform(run, now=builders.now())
    assert (result.verdict, result.reasons) == ("pass", [])
    measured = {item["name"]: (item["value"], item["n"]) for item in result.measurements}
    assert measured["golden_mismatches"] == (0, 200)
    assert measured["online_batch_difference"] == (0, 300)
