"""What the walk runs on: the simulated payments, or the file named by DATA (with LABEL, PROTECTED, TIME, ID)."""

import csv
import math
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from governance import importing, training
from governance.demo import payments
from monitoring import frames
from registry.refusals import Invalid
from registry.schema import LARGEST_EXACT, Column, Schema

TRAFFIC, DRIFTED = 600, 2400  # decisions asked for before and after the drift


@dataclass(frozen=True)
class Story:
    """Everything that depends on the data: what to train on, what traffic looks like before and after it drifts."""

    model: str
    title: str
    trained: training.Trained
    label: str
    time: str | None
    protected: tuple[str, ...]
    before: pd.DataFrame
    after: pd.DataFrame
    notes: list[str]

    def request(self, row: Mapping[str, object]) -> dict[str, object]:
        """Return the body of a score request for one row."""
        attributes = {name: str(row[name]) for name in self.protected}
        return {"features": frames.plain(row, self.trained.schema), "attributes": attributes}


def model_name() -> str:
    """Return the name the story's model is registered under."""
    path = os.environ.get("DATA")
    words = re.findall(r"[a-z0-9]+", Path(path).stem.lower()) if path else ["payment", "fraud"]
    return "-".join(words)[:60] or "file"


def tell() -> Story:
    """Return the story of the environment's DATA, else of simulated payments."""
    return _file(Path(os.environ["DATA"])) if os.environ.get("DATA") else _payments()


def _payments() -> Story:
    # A simulated customer has no past on the first day: the first fifth only gives them one.
    frame = payments.simulate(37_500, seed=7, days=75).iloc[7_500:]
    scenario = payments.Scenario(drift=1.0, new_typology=True)
    drifted = payments.simulate(7_500, seed=8, days=15, scenario=scenario).iloc[1_500:]
    columns = [
        Column(c.name, c.kind, c.nullable or bool(drifted[c.name].isna().any()), c.categories)
        for c in training.guess_columns(frame[list(payments.FEATURES)])
    ]
    trained = training.train(
        frame, Schema(tuple(columns)), label=payments.LABEL, time=payments.TIME, keep=payments.PROTECTED
    )
    return Story(
        model=model_name(),
        title="30,000 simulated payments",
        trained=trained,
        label=payments.LABEL,
        time=payments.TIME,
        protected=payments.PROTECTED,
        before=trained.holdout.sample(TRAFFIC, random_state=1),
        after=drifted.sample(DRIFTED, random_state=2),
        notes=[],
    )


def _file(path: Path) -> Story:
    if not os.environ.get("LABEL"):
        raise Invalid("Say which column is the label: DATA=FILE LABEL=column PROTECTED=a,b make demo.")
    found = importing.read(
        path,
        label=os.environ["LABEL"],
        time=os.environ.get("TIME"),
        identifier=os.environ.get("ID"),
        protected=_names(os.environ.get("PROTECTED", "")),
        adverse=os.environ.get("ADVERSE"),
    )
    trained = training.train(found.frame, found.schema, label=found.label, time=found.time, keep=found.protected)
    rows = trained.holdout
    return Story(
        model=model_name(),
        title=f"{len(found.frame):,} rows of {path.name}",
        trained=trained,
        label=found.label,
        time=found.time,
        protected=found.protected,
        before=rows.sample(TRAFFIC, random_state=1, replace=len(rows) < TRAFFIC),
        after=_shift(rows.sample(DRIFTED, random_state=2, replace=len(rows) < DRIFTED), trained),
        notes=found.notes,
    )


def _names(text: str) -> list[str]:
    """Return names separated by commas; one that holds a comma stands in double quotes."""
    return [name.strip() for name in next(csv.reader([text], skipinitialspace=True), []) if name.strip()]


def _shift(rows: pd.DataFrame, trained: training.Trained) -> pd.DataFrame:
    """Move the population of a file we know nothing about: every other feature, visibly."""
    moved = rows.copy()
    for column in trained.schema.columns[::2]:
        moved[column.name] = _moved(rows[column.name], column)
    return moved


def _moved(values: pd.Series, column: Column) -> pd.Series:
    if column.kind == "category":
        rarest = min(column.categories, key=lambda word: int((values == word).sum()))
        return pd.Series(rarest, index=values.index)
    if column.kind == "boolean":
        return ~values.astype("boolean")
    if column.kind == "date":
        return values - np.timedelta64(365, "D")  # forwards, 9999-12-31 would leave the calendar
    spread = float(values.astype("float64").std())
    step = spread if 0 < spread < math.inf else 1.0
    if column.kind == "number":
        return values.astype("float64") + step
    return (values.astype("Int64") + max(1, round(step))).clip(upper=LARGEST_EXACT)
