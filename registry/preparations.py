"""What a file may need before it is a labelled data set: a label in words becomes 0 and 1, many ages become bands."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from registry import binary_labels, profiles
from registry.profiles import FLAG, INTEGER, MOMENT, NUMBER, WORD
from registry.refusals import Invalid
from registry.snapshots import Change, Snapshot

BANDS = 4  # a protected attribute with many numbers is compared in this many bands
_FEW = 10  # different numbers that are groups as they are
_LONGEST = 100  # characters of a protected attribute's group, as the scoring API takes them

Made = Callable[[pa.Array], pa.Array]


def needed(
    snapshot: Snapshot, *, label: str | None, adverse: str | None, protected: Sequence[str], notes: list[str]
) -> Change | None:
    """Return what must be done to each batch, None where the file is as it should be; `notes` say what is done.

    Invalid for a label that has not two values, or of which there is too little.
    """
    made: dict[str, Made] = {}
    known = snapshot.profile.columns
    absent = [name for name in (label, *protected) if name and name not in known]
    if absent:
        raise Invalid(f"The file has no column {', '.join(absent)}. Its columns are: {', '.join(known)[:400]}.")
    if label:
        made |= _label(known[label], adverse, notes)
    for name in protected:
        made |= _protected(known[name])
    return _change(made, label if label in made else None) if made else None


def _label(column: profiles.Column, adverse: str | None, notes: list[str]) -> dict[str, Made]:
    if column.values.counts is None:
        raise Invalid(
            f"The label {column.name} has more than {profiles.MOST_VALUES:,} different values; it must have two (the "
            "adverse event or not). Name another column, or say which value is the adverse event."
        )
    words: dict[str, int] = {}
    for value, count in column.values.counts.most_common():
        words[binary_labels.word(value)] = words.get(binary_labels.word(value), 0) + count
    chosen = binary_labels.chosen(words, column.name, adverse)
    binary_labels.demand_both(words[chosen], column.count, column.name)
    if column.missing:
        notes.append(f"{column.missing} rows without a label were left out")
    plain = set(words) == {"0", "1"} and chosen == "1"
    if plain and not column.missing and column.kind == INTEGER:
        return {}
    if not plain:
        share = f"{words[chosen]} of {column.count}"
        notes.append(f"label {column.name}: {chosen!r} counts as the adverse event ({share})")
    said = [value for value in column.values.counts if binary_labels.word(value) == chosen]
    return {column.name: lambda values: pc.cast(pc.is_in(values, pa.array(said, values.type)), pa.int64())}


def _protected(column: profiles.Column) -> dict[str, Made]:
    """Return how a protected attribute becomes words: many numbers or moments as bands, the missing as `unknown`."""
    counts = column.values.counts
    if column.kind in (NUMBER, INTEGER, MOMENT) and (counts is None or len(counts) > _FEW) and column.spread:
        edges = np.unique(np.quantile(column.spread.edges, np.linspace(0, 1, BANDS + 1)[1:-1], method="nearest"))
        return {column.name: lambda values: _banded(values, edges)}
    if column.kind == WORD and not column.missing and counts and max(map(len, counts)) <= _LONGEST:
        return {}
    return {column.name: _words}


def _words(values: pa.Array) -> pa.Array:
    if profiles.kind_of(values.type) == FLAG:
        values = pc.cast(values, pa.int8())
    return pc.utf8_slice_codeunits(pc.fill_null(pc.cast(values, pa.string()), "unknown"), 0, _LONGEST)


def _banded(values: pa.Array, edges: np.ndarray) -> pa.Array:
    moment = profiles.kind_of(values.type) == MOMENT
    ends = [str(profiles.iso(edge))[:10] if moment else f"{edge:g}" for edge in edges]
    inner = [f"{low} to {high}" for low, high in zip(ends, ends[1:], strict=False)]
    names = np.array([f"below {ends[0]}", *inner, f"from {ends[-1]}"])
    found = profiles.numbers(values)
    return pa.array(np.where(np.isnan(found), "unknown", names[np.searchsorted(edges, found, side="right")]))


def _change(made: Mapping[str, Made], label: str | None) -> Change:
    def change(batch: pa.RecordBatch) -> pa.RecordBatch:
        if label:
            batch = batch.filter(pc.is_valid(batch.column(label)))
        columns = zip(batch.schema.names, batch.columns, strict=True)
        arrays = [made[name](_decoded(values)) if name in made else values for name, values in columns]
        return pa.RecordBatch.from_arrays(arrays, names=batch.schema.names)

    return change


def _decoded(values: pa.Array) -> pa.Array:
    return values.dictionary_decode() if pa.types.is_dictionary(values.type) else values
