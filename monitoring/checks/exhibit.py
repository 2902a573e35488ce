"""evidently's view of the same comparison: an exhibit beside our own test. Imported by the drift worker alone.

evidently mutates numpy's globals and needs nine seconds to import. One bad column makes a whole report raise, so
each column is reported by itself.
"""

import pandas as pd
from evidently import DataDefinition, Dataset, Report
from evidently.metrics import ValueDrift

ROWS = 20_000


def drift(reference: pd.DataFrame, current: pd.DataFrame, *, categorical: list[str]) -> list[dict[str, object]]:
    """Return evidently's drift value of each column, or the reason why it gave none."""
    return [_column(reference[[name]], current[[name]], name, name in categorical) for name in reference.columns]


def _column(reference: pd.DataFrame, current: pd.DataFrame, name: str, categorical: bool) -> dict[str, object]:
    definition = DataDefinition(**{"categorical_columns" if categorical else "numerical_columns": [name]})
    try:
        report = Report([ValueDrift(column=name, method="jensenshannon" if categorical else "wasserstein")])
        frames = [frame.head(ROWS).dropna() for frame in (current, reference)]
        done = report.run(*(Dataset.from_pandas(frame, data_definition=definition) for frame in frames))
        return {"column": name, "value": float(done.dict()["metrics"][0]["value"])}
    except Exception as error:  # noqa: BLE001 - evidently raises whatever its parts raise; the column is reported so
        return {"column": name, "value": None, "reason": f"{type(error).__name__}: {error}"[:200]}
