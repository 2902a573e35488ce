"""Read any CSV or Parquet file as labelled data: types, categories, dates, missing values, protected attributes."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from governance import training
from registry.refusals import Invalid
from registry.schema import Schema

ADVERSE = {"1", "true", "yes", "y", "fraud", "bad", "default", "charged off", "positive"}
BANDS = 4  # a protected attribute with many numbers is compared in this many bands
_DATES = 0.95  # a text column of which this share are dates is a date


@dataclass(frozen=True)
class Imported:
    """A frame whose label is 0 or 1, with what its columns are; `notes` say what was changed on the way."""

    frame: pd.DataFrame
    schema: Schema
    label: str
    time: str | None
    identifier: str | None
    protected: tuple[str, ...]
    notes: list[str] = field(default_factory=list)


def read(
    path: Path,
    *,
    label: str,
    time: str | None = None,
    identifier: str | None = None,
    protected: Sequence[str] = (),
) -> Imported:
    """Read a file; Invalid names what is missing or cannot be used. Protected attributes do not become features."""
    frame = _table(path)
    frame.columns = [str(name) for name in frame.columns]
    absent = [name for name in [label, time, identifier, *protected] if name and name not in frame]
    if absent:
        known = ", ".join(frame.columns[:40])
        raise Invalid(f"{path.name} has no column {', '.join(absent)}. Its columns are: {known}.")
    notes: list[str] = []
    frame = _labelled(frame, label, notes)
    frame = frame.assign(**{name: _typed(frame[name]) for name in frame.columns if name != label})
    infinite = [
        name for name in frame.select_dtypes("number") if np.isinf(frame[name].to_numpy("float64", na_value=0)).any()
    ]
    if infinite:
        frame[infinite] = frame[infinite].replace([np.inf, -np.inf], np.nan)
        notes.append(f"infinite values count as missing: {', '.join(infinite)}")
    if time:
        frame[time] = _moments(frame[time], time)
    leave_out = [label, *([time] if time else []), *([identifier] if identifier else []), *protected]
    frame = frame.assign(**{name: _banded(frame[name]) for name in protected})
    constant = [name for name in frame.columns if name not in leave_out and frame[name].nunique() < 2]
    schema = training.guess_schema(frame, leave_out=[*leave_out, *constant])
    unused = [name for name in frame.columns if name not in schema.names and name not in leave_out]
    if unused:
        notes.append(f"not used as features (constant, or text with too many different words): {', '.join(unused)}")
    return Imported(frame, schema, label, time, identifier, tuple(protected), notes)


def _table(path: Path) -> pd.DataFrame:
    if not path.is_file():
        raise Invalid(f"There is no file {path}. Give the path of a CSV or Parquet file.")
    try:
        frame = pd.read_parquet(path) if path.suffix.lower() in (".parquet", ".pq") else _csv(path)
    except (ValueError, OSError, pd.errors.ParserError) as error:
        raise Invalid(f"{path.name} cannot be read as CSV or Parquet: {str(error)[:200]}") from error
    if frame.empty or len(frame.columns) < 2:
        raise Invalid(f"{path.name} holds no table: it needs a header, at least two columns and some rows.")
    return frame


def _csv(path: Path) -> pd.DataFrame:
    with path.open(encoding="utf-8-sig", errors="replace") as file:
        head = file.readline()
    separator = max(",;\t|", key=head.count)
    return pd.read_csv(path, sep=separator, low_memory=False, encoding_errors="replace")


def _labelled(frame: pd.DataFrame, label: str, notes: list[str]) -> pd.DataFrame:
    """Return the rows that have a label, as 0 or 1; the adverse one of two words is found by name, else by rarity."""
    known = frame[frame[label].notna()].copy()
    if len(known) < len(frame):
        notes.append(f"{len(frame) - len(known)} rows without a label were left out")
    words = known[label].map(lambda value: str(value).strip().lower().removesuffix(".0"))
    counts = words.value_counts()
    if len(counts) != 2:
        raise Invalid(
            f"The label {label} has {len(counts)} different values; it must have two (the adverse event or not)."
        )
    named = [word for word in counts.index if word in ADVERSE]
    adverse = named[0] if len(named) == 1 else counts.index[-1]
    if set(counts.index) != {"0", "1"}:
        notes.append(f"label {label}: {adverse!r} counts as the adverse event ({counts[adverse]} of {len(known)})")
    known[label] = (words == adverse).astype("int64")
    return known


def _typed(values: pd.Series) -> pd.Series:
    """Return a column in the narrowest honest type: dates and booleans that came as text become what they are."""
    if not (pd.api.types.is_object_dtype(values) or pd.api.types.is_string_dtype(values)):
        return values.dt.tz_convert(None) if isinstance(values.dtype, pd.DatetimeTZDtype) else values
    present = values.dropna().astype(str)
    if not present.empty and set(present.str.lower().unique()) <= {"true", "false"}:
        return values.map(lambda v: v if pd.isna(v) else str(v).lower() == "true").astype("boolean")
    if present.head(500).str.contains(r"\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}").mean() > _DATES:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # pandas says that it guesses the format per value
            dates = pd.to_datetime(values, errors="coerce", utc=True).dt.tz_convert(None)
        if dates.notna().sum() >= _DATES * len(present):
            return dates
    return values.astype("string").str.slice(0, 200)


def _moments(values: pd.Series, name: str) -> pd.Series:
    moments = values if pd.api.types.is_datetime64_any_dtype(values) else pd.to_datetime(values, errors="coerce")
    if moments.isna().any():
        raise Invalid(f"The time column {name} holds {int(moments.isna().sum())} values that are not moments.")
    return moments


def _banded(values: pd.Series) -> pd.Series:
    if pd.api.types.is_numeric_dtype(values) and values.nunique() > 10:
        values = pd.qcut(values, BANDS, duplicates="drop")
    return values.astype("string").fillna("unknown")
