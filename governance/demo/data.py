"""What the walk runs on: the simulated payments, or the file named by DATA (with LABEL, PROTECTED, TIME, ID)."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from governance import importing, training
from governance.demo import payments
from monitoring import frames
from registry.refusals import Invalid
from registry.schema import Column, Schema

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
    return Path(path).stem.lower().replace("_", "-") if path else "payment-fraud"


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
        for c in training.guess_schema(frame[list(payments.FEATURES)], leave_out=()).columns
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
        protected=os.environ.get("PROTECTED", "").replace(",", " ").split(),
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


def _shift(rows: pd.DataFrame, trained: training.Trained) -> pd.DataFrame:
    """Move the population of a file we know nothing about: every other feature, visibly."""
    moved = rows.copy()
    for column in trained.schema.columns[::2]:
        values = rows[column.name]
        if column.kind == "category":
            moved[column.name] = column.categories[-1]
        elif column.kind == "boolean":
            moved[column.name] = ~values.astype("boolean")
        elif column.kind == "integer":
            moved[column.name] = values.astype("Int64") + max(1, round(float(values.std())))
        elif column.kind == "number":
            moved[column.name] = values.astype("Float64") + (float(values.std()) or 1.0)
    return moved
