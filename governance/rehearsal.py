"""Measure a model folder as the workers would once it were registered: the same checks, on the same code.

Nothing is written but files below the artifact store's folder, and no database is asked: nothing serves beside it.
"""

import io
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from governance import tables
from monitoring import demands, gate, performing
from monitoring.candidates import Candidate
from registry import artifacts, datasets, mlmodel, pinning, versions
from registry.intake import scanning
from registry.models import Dataset, ModelVersion, RegisteredModel
from registry.refusals import Invalid, Refusal
from registry.schema import SCORE

_PARQUET = b"PAR1"


class Rehearsed(Candidate):
    """A version that is not registered: no champion stands beside it."""

    @cached_property
    def champion(self) -> Candidate | None:
        """Nothing."""
        return None


def candidate(folder: Path, *, model: str, data: Mapping[str, Path], label: str, protected: Sequence[str]) -> Rehearsed:
    """Return the model in a folder with its data sets (role → file), ready to be measured; Invalid says why not."""
    files = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    described = mlmodel.describe(files.get("MLmodel"), files, files.__getitem__)
    named = {**dict.fromkeys(protected, "protected"), label: "label", SCORE: "score"}
    sets = {role: _dataset(path, role, named) for role, path in data.items()}
    version = ModelVersion(
        model=RegisteredModel(name=model),
        number=0,
        artifact=versions.stored(files),
        flavour=described.flavour,
        schema=described.schema,  # without the ranges of the reference data, which no check asks for
        unservable=described.unservable,
        lineage={"model_file": described.file},
        **sets,
    )
    return Rehearsed(version)


def objection(found: Candidate, folder: Path, rules: Mapping[str, Any]) -> str:
    """Return why the intake would not accept these files under a policy, or why they could not be served; empty: no."""
    try:
        pinning.accept({"scan": scanning.scan(folder).dump()}, rules)
    except Refusal as refusal:
        return refusal.detail
    return str(found.version.unservable)


def checks(found: Candidate, rules: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield each check that a policy's rules ask for, measured and judged, as the gate shows it."""
    for name in demands.names(found.version.artifact, rules):
        measured, verdict, reasons = performing.judged(found, name, rules)
        yield gate.judged(name, rules, verdict, reasons, [item.dump() for item in measured.measurements])


def _dataset(path: Path, role: str, named: Mapping[str, str]) -> Dataset:
    """Return a file as a data set; Parquet as it is, so that its bytes are those that would be registered."""
    data = path.read_bytes()
    if not data.startswith(_PARQUET):
        data = datasets.parquet(pa.Table.from_pandas(tables.read(path, []), preserve_index=False))
    columns = [{"name": name, "role": named.get(name, "feature")} for name in pq.read_schema(io.BytesIO(data)).names]
    absent = sorted({*named} - {column["name"] for column in columns} - {SCORE}) if role == "holdout" else []
    if absent:
        raise Invalid(f"{path.name} has no column {', '.join(absent)}.")
    return Dataset(digest=artifacts.put(data), name=role, columns=columns)
