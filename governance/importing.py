"""Read any CSV or Parquet file as labelled data: types, categories, dates, missing values, protected attributes."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from governance import kinds, tables, training
from registry import binary_labels
from registry.preparations import BANDS
from registry.refusals import Invalid
from registry.schema import Schema

_MOMENTS = 0.95  # at least this share of a time column must be moments
_LONGEST = 100  # characters of a protected attribute's group, as the scoring API takes them


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
    adverse: str | None = None,
) -> Imported:
    """Read a file; Invalid names what is missing or cannot be used. Protected attributes do not become features.

    `adverse`: the label's value that is the adverse event, all others are not; by default found out of two values.
    """
    notes: list[str] = []
    frame = tables.read(path, notes)
    roles = [name for name in (label, time, identifier, *protected) if name]
    _demand(roles, frame, path)
    frame = pd.DataFrame({name: kinds.typed(frame[name], notes) for name in frame})
    frame = _labelled(frame, label, adverse, notes)
    if time:
        frame = _timed(frame, time, notes)
    for name in protected:
        frame[name] = _banded(frame[name])
    schema = _features(frame, roles, path, notes)
    return Imported(frame, schema, label, time, identifier, tuple(protected), notes)


def _demand(roles: list[str], frame: pd.DataFrame, path: Path) -> None:
    absent = [name for name in roles if name not in frame]
    if absent:
        known = ", ".join(name[:60] for name in frame.columns[:40])
        raise Invalid(f"{path.name} has no column {', '.join(absent)}. Its columns are: {known}.")
    twice = sorted({name for name in roles if roles.count(name) > 1})
    if twice:
        raise Invalid(f"{', '.join(twice)}: a column is label, time, identifier or protected, and only one of them.")


def _labelled(frame: pd.DataFrame, label: str, adverse: str | None, notes: list[str]) -> pd.DataFrame:
    """Return the rows that have a label, as 0 or 1."""
    known = frame[frame[label].notna()].copy()
    if len(known) < len(frame):
        notes.append(f"{len(frame) - len(known)} rows without a label were left out")
    words = known[label].map(binary_labels.word)
    counts = words.value_counts().to_dict()
    chosen = binary_labels.chosen(counts, label, adverse)
    if adverse is None and set(counts) != {"0", "1"}:
        notes.append(f"label {label}: {chosen!r} counts as the adverse event ({counts[chosen]} of {len(known)})")
    known[label] = (words == chosen).astype("int64")
    binary_labels.demand_both(counts[chosen], len(known), label)
    return known


def _timed(frame: pd.DataFrame, time: str, notes: list[str]) -> pd.DataFrame:
    """Return the rows that have a moment."""
    moments = kinds.moments(frame[time])
    lost = int(moments.isna().sum())
    if lost > (1 - _MOMENTS) * len(frame):
        raise Invalid(
            f"The time column {time} holds {lost} values that are not moments. Name another, or none: "
            "the rows are then split by chance."
        )
    if lost:
        notes.append(f"{lost} rows without a moment in {time} were left out")
    notes.append(f"{time} runs from {moments.min()} to {moments.max()}")
    frame[time] = moments
    return frame[moments.notna()].copy()


def _banded(values: pd.Series) -> pd.Series:
    """Return a protected attribute as words: many numbers or dates as bands, the missing as `unknown`."""
    if not pd.api.types.is_string_dtype(values) and values.nunique() > 10:
        bands = pd.qcut(values, BANDS, duplicates="drop")
        values = bands if bands.nunique() > 1 else values > values.median()
    return values.astype("string").fillna("unknown").str.slice(0, _LONGEST)


def _features(frame: pd.DataFrame, roles: list[str], path: Path, notes: list[str]) -> Schema:
    """Return what the columns without a role are, as far as a model can learn from them."""
    constant = [name for name in frame if frame[name].nunique() < 2]
    found = training.guess_columns(frame, leave_out=[*roles, *constant])
    used = {column.name for column in found}
    unused = ", ".join(name for name in frame if name not in used and name not in roles)
    if not found:
        raise Invalid(f"{path.name} has no column that could be a feature ({unused or 'nothing'} is left).")
    if unused:
        notes.append(f"not used as features (constant, or text with too many different words): {unused}")
    return Schema(tuple(found))
