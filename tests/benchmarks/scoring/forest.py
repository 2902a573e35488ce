"""The model that everybody serves: LightGBM, binary, 300 trees × 31 leaves × 30 features; and the rows asked of it."""

import functools
from dataclasses import dataclass
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd

from governance import training
from governance.demo.data import Story
from registry.schema import Column, Schema

MODEL, LABEL, GROUP = "bench-forest", "bad", "region"
FEATURES, TREES, LEAVES, ROWS = 30, 300, 31, 20_000
NAMES = [f"f{number:02}" for number in range(FEATURES)]
ASKED = 256  # different rows that the load goes through


@dataclass(frozen=True)
class Forest:
    """The model's files, the rows that are asked, and what the booster itself says of them."""

    folder: Path
    rows: list[dict[str, float]]
    scores: list[float]

    @property
    def file(self) -> Path:
        """Where the booster's own text lies."""
        return self.folder / "model.lgb"


@functools.cache
def trained(seed: int = 1) -> training.Trained:
    """Train it; another seed gives another model of the same size for the same rows."""
    draw = np.random.default_rng(7)
    values = draw.normal(size=(ROWS, FEATURES))
    odds = values[:, 0] + values[:, 1] * values[:, 2] + np.sin(values[:, 3] * 2) + np.abs(values[:, 4]) - 2.2
    frame = pd.DataFrame(values, columns=NAMES)
    frame[LABEL] = (draw.random(ROWS) < 1 / (1 + np.exp(-1.5 * odds))).astype(int)
    frame[GROUP] = draw.choice(["north", "south"], ROWS)
    schema = Schema(tuple(Column(name, "number", True, ()) for name in NAMES))
    size = {"num_leaves": LEAVES, "num_iterations": TREES, "min_data_in_leaf": 20, "lambda_l2": 0.0, "seed": seed}
    return training.train(frame, schema, label=LABEL, keep=[GROUP], parameters=size)


def story(seed: int = 1) -> Story:
    """Return it as something that people register, check, sign and promote."""
    made = trained(seed)
    nobody = made.holdout.head(0)
    return Story(MODEL, "rows of the benchmark", made, LABEL, None, (GROUP,), nobody, nobody, [])


def write(folder: Path) -> Forest:
    """Save it as an MLflow model, and return it with the rows that are asked."""
    made = trained()
    mlflow.lightgbm.save_model(
        made.booster,
        str(folder),
        signature=training.signature(made.schema),
        metadata=training.metadata(made.schema),
        pip_requirements=["lightgbm"],
    )
    rows = made.holdout[NAMES].head(ASKED).astype("float64")
    scores = made.booster.predict(rows.to_numpy(), num_threads=1)
    return Forest(folder, rows.to_dict("records"), np.asarray(scores).tolist())


def size(file: Path) -> dict[str, int]:
    """Return how many trees, leaves (of the largest tree) and features a booster's text has."""
    lines = file.read_text().splitlines()
    leaves = [int(line.split("=")[1]) for line in lines if line.startswith("num_leaves=")]
    return {"trees": len(leaves), "leaves": max(leaves), "features": FEATURES}
