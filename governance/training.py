"""Train a fraud model on a labelled frame. Pure of Django: also run as a process without any credentials.

python -m governance.training SPEC.json      (paths of data and output, schema, label, time, parameters)
"""

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import lightgbm
import mlflow
import numpy as np
import pandas as pd
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, DataType, TensorSpec
from mlflow.types import Schema as MlflowSchema
from sklearn.metrics import roc_auc_score

from monitoring import frames
from registry.schema import LARGEST_EXACT, SCORE, Column, Schema

PARAMETERS: dict[str, Any] = {
    "objective": "binary",
    "num_leaves": 15,
    "learning_rate": 0.05,
    "min_data_in_leaf": 60,
    "lambda_l2": 5.0,
    "feature_fraction": 0.8,
    "bagging_fraction": 0.8,
    "bagging_freq": 1,
    "seed": 7,
    "deterministic": True,
    "num_threads": 1,
    "verbosity": -1,
}
ROUNDS = 200
HOLDOUT = 0.3  # the last part in time
GOLDEN = 1000
MOST_WEIGHT = 20.0
MOST_WORDS = 1000  # a text column with more different words is an identifier or prose, not a category


@dataclass(frozen=True)
class Trained:
    """A booster with the frames it was made and is to be judged on."""

    booster: lightgbm.Booster
    schema: Schema
    training: pd.DataFrame
    holdout: pd.DataFrame
    golden: pd.DataFrame
    reference: pd.DataFrame
    metrics: dict[str, float]
    parameters: dict[str, Any]


def train(
    frame: pd.DataFrame,
    schema: Schema,
    *,
    label: str,
    time: str | None = None,
    keep: Sequence[str] = (),
    parameters: Mapping[str, Any] | None = None,
    before: pd.DataFrame | None = None,
    since: datetime | None = None,
) -> Trained:
    """Train on the first part of a frame (in time, else in a seeded shuffle) and hold out the rest.

    `since`: only rows from this moment on are held out, and their training part is the reference that later traffic
    is compared with, because the population was another one before; needs `time`. `before`: more rows of the past to
    train on (what an earlier version was trained on). The fresh rows weigh together as much as all of the past, up to
    MOST_WEIGHT each.

    `keep`: columns that travel with the holdout without being features (protected attributes, identifiers).
    """
    ordered = frame.sort_values(time) if time else frame.sample(frac=1, random_state=7)
    past = pd.to_datetime(ordered[time], utc=True) < since if time and since else np.zeros(len(ordered), bool)
    fresh = ordered[~past]
    split = int(len(fresh) * (1 - HOLDOUT))
    used_columns = list(dict.fromkeys([*schema.names, label, *([time] if time else []), *keep]))
    parts = [before, ordered[past], fresh[:split], fresh[split:]]
    *older, taught, holdout = [
        _normal(part[used_columns], schema, keep) for part in parts if part is not None and len(part)
    ]
    training = pd.concat([*older, taught], ignore_index=True)
    reference = taught if since else training
    weight = min(MOST_WEIGHT, max(1.0, (len(training) - len(taught)) / len(taught)))
    used = {**PARAMETERS, **(parameters or {})}
    categorical = [column.name for column in schema.columns if column.kind == "category"]
    data = lightgbm.Dataset(
        frames.encode(training, schema),
        training[label].to_numpy(),
        weight=np.where(np.arange(len(training)) < len(training) - len(taught), 1.0, weight),
        feature_name=[f"f{i}" for i in range(len(schema.columns))],
        categorical_feature=[schema.names.index(name) for name in categorical],
        params={"verbosity": -1},
    )
    booster = lightgbm.train(used, data, num_boost_round=ROUNDS)
    scores = np.asarray(booster.predict(frames.encode(holdout, schema), num_threads=1))
    golden = holdout[schema.names].head(GOLDEN).copy()
    golden[SCORE] = scores[:GOLDEN]
    auc = float(roc_auc_score(holdout[label], scores)) if holdout[label].nunique() == 2 else float("nan")
    metrics = {"roc_auc": auc, "training_rows": len(training), "holdout_rows": len(holdout)}
    return Trained(
        booster, schema, training, holdout, golden, reference, metrics, {**used, "rounds": ROUNDS, "weight": weight}
    )


def _normal(frame: pd.DataFrame, schema: Schema, keep: Sequence[str]) -> pd.DataFrame:
    """Return a frame whose columns have one type wherever they came from: a file, a data set or sent requests."""
    types = {"category": "string", "boolean": "boolean", "integer": "Int64", "number": "float64"}
    typed = {c.name: frame[c.name].astype(types[c.kind]) for c in schema.columns if c.kind != "date"}
    dates = {c.name: pd.to_datetime(frame[c.name]).astype("datetime64[us]") for c in schema.columns if c.kind == "date"}
    kept = {name: frame[name].astype("string") for name in keep}
    return pd.DataFrame({**{name: frame[name] for name in frame}, **typed, **dates, **kept}).reset_index(drop=True)


def guess_columns(frame: pd.DataFrame, leave_out: Sequence[str] = ()) -> list[Column]:
    """Return what a frame's columns are: kinds by their types, nullable where values are missing."""
    found = []
    for name in (name for name in frame.columns if name not in leave_out):
        values = frame[name]
        missing = bool(values.isna().any())
        if pd.api.types.is_bool_dtype(values):
            found.append(Column(name, "boolean", missing))
        elif pd.api.types.is_integer_dtype(values) and values.abs().max() <= LARGEST_EXACT:
            found.append(Column(name, "integer", missing))
        elif pd.api.types.is_numeric_dtype(values):
            found.append(Column(name, "number", missing))
        elif pd.api.types.is_datetime64_any_dtype(values):
            found.append(Column(name, "date", missing))
        else:
            words = tuple(sorted(values.dropna().astype(str).unique()))
            if 1 < len(words) <= min(MOST_WORDS, len(values) // 2):
                found.append(Column(name, "category", missing, words))
    return found


def columns(
    schema: Schema,
    *,
    label: str = "",
    time: str | None = None,
    protected: Sequence[str] = (),
    score: str = "",
) -> list[dict[str, Any]]:
    """Return the columns of a data set with their roles, as the registry wants them."""
    named: dict[str | None, str] = {label: "label", time: "time", score: "score"}
    named.update(dict.fromkeys(protected, "protected"))
    others = [{"name": name, "role": role, "kind": "number"} for name, role in named.items() if name]
    return [{**column, "role": "feature"} for column in schema.dump()] + others


_TYPES = {
    "number": DataType.double,
    "integer": DataType.long,
    "boolean": DataType.boolean,
    "category": DataType.string,
    "date": DataType.string,
}


def signature(schema: Schema) -> ModelSignature:
    """Return the MLflow signature of a schema."""
    columns = schema.columns
    inputs: list[ColSpec | TensorSpec] = [ColSpec(_TYPES[c.kind], c.name, required=not c.nullable) for c in columns]
    return ModelSignature(inputs=MlflowSchema(inputs), outputs=MlflowSchema([ColSpec(DataType.double, "score")]))


def metadata(schema: Schema) -> dict[str, Any]:
    """Return what log_model's `metadata` says so that every kind of feature can be encoded by whoever serves."""
    return {"countersign": {"schema": schema.dump()}}


def main(path: str) -> None:
    """Train as a specification says, and write an MLflow model and its frames to the output folder."""
    spec = json.loads(Path(path).read_text())
    output = Path(spec["output"])
    trained = train(
        pd.read_parquet(spec["data"]),
        Schema.load(spec["schema"]),
        label=spec["label"],
        time=spec.get("time"),
        keep=spec["keep"],
        parameters=spec.get("parameters"),
        since=datetime.fromisoformat(spec["since"]) if spec.get("since") else None,
        before=pd.read_parquet(spec["before"]) if spec.get("before") else None,
    )
    mlflow.lightgbm.save_model(
        trained.booster,
        str(output / "model"),
        signature=signature(trained.schema),
        metadata=metadata(trained.schema),
    )
    for name in ("training", "reference", "holdout", "golden"):
        getattr(trained, name).to_parquet(output / f"{name}.parquet", index=False)
    (output / "result.json").write_text(json.dumps({"metrics": trained.metrics, "parameters": trained.parameters}))


if __name__ == "__main__":
    main(sys.argv[1])
