"""A file of rows becomes a data set: whatever its form, in pieces, with what its columns hold; or it says why not."""

import io
import json
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow import csv, feather, ipc

from registry import artifacts, canonical, datasets, ledger
from registry.models import Dataset, DatasetStatistics, LedgerEntry
from registry.refusals import Invalid
from tests import builders

CHANCE = np.random.default_rng(4)
N = 3000
TABLE = pa.table(
    {
        "customer": [f"c{place % 700}" for place in range(N)],
        "amount": CHANCE.lognormal(3, 1, N).round(2),
        "visits": pa.array([None if place % 50 == 0 else place % 7 for place in range(N)], pa.int64()),
        "country": [("DE", "FR", "IT")[place % 3] for place in range(N)],
        "age_band": [("18-30", "31-50", "51+")[place % 3] for place in range(N)],
        "email": [f"person{place}@example.org" for place in range(N)],
        "at": pa.array(
            np.datetime64("2026-01-01T00:00:00") + np.arange(N).astype("timedelta64[m]"), pa.timestamp("us")
        ),
        "fraud": (CHANCE.random(N) < 0.1).astype("int64"),
    }
)
COLUMNS = [
    {"name": "customer", "role": "entity"},
    {"name": "amount", "role": "feature", "kind": "number"},
    {"name": "visits", "role": "feature", "kind": "integer", "nullable": True},
    {"name": "country", "role": "segment"},
    {"name": "age_band", "role": "protected"},
    {"name": "email", "role": "restricted"},
    {"name": "at", "role": "time"},
    {"name": "fraud", "role": "label"},
]


def written(form, table=TABLE):
    sink = io.BytesIO()
    if form == "parquet":
        pq.write_table(table, sink, row_group_size=500)
    elif form == "csv":
        csv.write_csv(table, sink)
    elif form == "feather":
        feather.write_feather(table, sink)
    elif form == "stream":
        with ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table, max_chunksize=700)
    return sink.getvalue()


def register(ada, data, columns=COLUMNS, name="payments"):
    return datasets.register(data=data, name=name, columns=columns, by=ada, now=builders.now())


def measured(dataset):
    return {column["name"]: column for column in datasets.statistics(dataset).content["columns"]}


@pytest.mark.parametrize("form", ["parquet", "csv", "feather", "stream"])
def test_a_file_of_any_form_is_kept_as_parquet_with_its_statistics(ada, form):
    data = written(form)
    dataset = register(ada, data)
    kept = datasets.read(dataset)
    assert kept.cast(TABLE.schema).equals(TABLE)
    assert dataset.rows == N
    assert dataset.digest == canonical.sha256(artifacts.get(dataset.digest))
    assert (dataset.original or dataset.digest) == canonical.sha256(data)
    found = measured(dataset)
    amount = np.asarray(TABLE["amount"])
    assert (found["amount"]["min"], found["amount"]["max"]) == (amount.min(), amount.max())
    assert found["amount"]["mean"] == pytest.approx(amount.mean())
    assert found["amount"]["std"] == pytest.approx(amount.std())
    assert sum(found["amount"]["histogram"]["counts"]) == N
    assert (found["visits"]["missing"], found["visits"]["distinct"]) == (60, 7)
    assert found["country"]["top"] == [["DE", 1000], ["FR", 1000], ["IT", 1000]]
    assert datasets.statistics(dataset).content["window"] == {
        "from": "2026-01-01T00:00:00+00:00",
        "to": "2026-01-03T01:59:00+00:00",
    }


def test_the_entry_tells_of_bytes_columns_and_statistics_and_the_same_bytes_are_entered_once(ada):
    dataset = register(ada, written("csv"))
    again = register(ada, written("csv"))
    assert again == dataset
    entry = LedgerEntry.objects.get(event="dataset.registered")
    facts = ledger.facts_of(entry)
    assert facts["record"] == canonical.digest(datasets.record(dataset))
    assert facts["statistics"] == canonical.digest(datasets.statistics(dataset).content)
    assert DatasetStatistics.objects.count() == 1


def test_of_columns_that_name_somebody_only_counts_are_kept(ada):
    dataset = register(ada, written("parquet"))
    found = measured(dataset)
    assert set(found["email"]) == {"name", "type", "count", "missing", "distinct", "role"}
    assert found["customer"]["distinct"] == 700
    said = json.dumps(datasets.statistics(dataset).content) + str(LedgerEntry.objects.values_list("bytes", flat=True))
    assert "person1@" not in said
    assert '"c1"' not in said


def test_masked_columns_are_shown_to_those_alone_who_may_see_them(ada):
    dataset = register(ada, written("parquet"), [item for item in COLUMNS if item["name"] != "visits"])
    shown = datasets.preview(dataset, unmasked=False, rows=3)
    assert shown["masked"] == ["customer", "visits", "age_band", "email"], "also of which nobody said what it is"
    first = dict(zip(shown["columns"], shown["rows"][1], strict=True))
    assert first == {
        **dict.fromkeys(shown["masked"]),
        "amount": TABLE["amount"][1].as_py(),
        "country": "FR",
        "at": "2026-01-01T00:01:00",
        "fraud": TABLE["fraud"][1].as_py(),
    }
    seen = datasets.preview(dataset, unmasked=True, rows=3)
    assert (seen["masked"], seen["rows"][1][5]) == ([], "person1@example.org")


def test_rows_are_read_in_batches(ada):
    dataset = register(ada, written("parquet"))
    found = list(datasets.batches(dataset, ["fraud", "amount"]))
    assert len(found) > 1 or found[0].num_rows == N
    assert pa.Table.from_batches(found).equals(TABLE.select(["fraud", "amount"]))


def test_a_type_that_breaks_late_widens_the_column_and_identifiers_stay_as_written(ada):
    rows = "\n".join(f"{place},{place},0,{place:05},2026-01-01" for place in range(400_000))
    data = f"a,b,c,d,e\n{rows}\n7,x,0.5,00001,2026-01-02T10:00:00\n".encode()
    dataset = register(ada, data, [{"name": "a", "role": "feature", "kind": "integer"}])
    kept = datasets.read(dataset)
    types = {item.name: str(item.type) for item in kept.schema}
    assert types == {"a": "int64", "b": "string", "c": "double", "d": "string", "e": "timestamp[us]"}
    assert kept["b"].slice(399_999).to_pylist() == ["399999", "x"]
    assert (kept["d"][0].as_py(), kept.num_rows) == ("00000", 400_001)


GOOD = b"amount,fraud,at,email\n1,0,2026-01-01,a@b.c\n2,1,2026-01-02,d@e.f\n"
SAID = [
    {"name": "amount", "role": "feature", "kind": "number"},
    {"name": "fraud", "role": "label"},
    {"name": "at", "role": "time"},
    {"name": "email", "role": "restricted"},
]
LATE = b"3,1,2026-01-02,x@y.z\n" * 300_000  # more than one block


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "The file is empty"),
        (b"amount,fraud,at,email\n", "header but no rows"),
        (b"amount,fraud,at,at\n1,0,2026-01-01,x\n", "more than one column named at"),
        (b"amount,fraud,at,\n1,0,2026-01-01,x\n", "column without a name"),
        (GOOD + LATE + b"4,1,2026-01-02\n" + LATE, "Row 300,004 .* has 3 values where the header has 4 names"),
        (GOOD + LATE + b"word,1,2026-01-02,secret@y.z\n", "Row 300,004 .* column amount that is not a number"),
        (GOOD + LATE + b"4,1,yesterday,secret@y.z\n", "Row 300,004 .* column at that is not a date"),
        (GOOD + b"4,2,2026-01-02,secret@y.z\n", "label fraud holds values that are neither 0 nor 1"),
        (GOOD + b"4,,2026-01-02,secret@y.z\n", "1 rows have no value in the label fraud"),
        (GOOD + "4,1,2026-01-02,zoë@y.z\n".encode("latin-1"), "not in UTF-8"),
        (GOOD.decode().encode("utf-16"), "neither Parquet, Arrow nor text in UTF-8"),
        (b"\x1f\x8b" + GOOD, "compressed .gzip."),
        (b"PAR1" + GOOD, "cannot be read as a Parquet file"),
        (b"ARROW1" + GOOD, "cannot be read as a Arrow file"),
        (b"FEA1" + GOOD, "Feather version 1"),
        (b"other\n1\n", "name a column of the file .other."),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_file_that_is_no_data_set_says_where_and_why_and_nothing_is_kept(ada, data, reason):
    entries = LedgerEntry.objects.count()
    with pytest.raises(Invalid, match=reason) as refused:
        register(ada, data, SAID)
    assert "secret" not in refused.value.detail
    assert not Dataset.objects.exists()
    assert not DatasetStatistics.objects.exists()
    assert LedgerEntry.objects.count() == entries


@pytest.mark.parametrize(
    ("columns", "reason"),
    [
        ([*SAID, {"name": "at", "role": "other"}], "at: said twice"),
        ([{"name": "amount", "role": "time"}], "not a date"),
        ([{"name": "amount", "role": "king"}], "one of .*'restricted'"),
    ],
)
def test_columns_that_the_values_contradict_are_refused(ada, columns, reason):
    with pytest.raises(Invalid, match=reason):
        register(ada, GOOD, columns)
    assert not Dataset.objects.exists()


def test_a_time_of_words_in_parquet_is_refused(ada):
    with pytest.raises(Invalid, match="The time column country holds string"):
        register(ada, written("parquet"), [{"name": "country", "role": "time"}])


ODD = {
    "dictionary": pa.array(["a", "b", None]).dictionary_encode(),
    "decimal": pa.array([1, 2, None], pa.decimal128(10, 2)),
    "small": pa.array([1.5, 2.5, None], pa.float16()),
    "large": pa.array([2**64 - 1, 0, None], pa.uint64()),
    "nothing": pa.nulls(3),
    "empty": pa.array([None, None, None], pa.float64()),
    "list": pa.array([[1], [], None]),
    "zoned": pa.array([0, 10**6, None], pa.timestamp("ms", "Europe/Berlin")),
    "beyond": pa.array([2**62, -(2**62), None], pa.timestamp("us")),
    "bytes": pa.array([b"\xff", b"", None]),
    "flag": pa.array([True, False, None]),
    "nul": pa.array(["a\0b", "\U0001f600", None]),
    "infinite": pa.array([float("inf"), 1.0, float("nan")]),
    "vast": pa.array([1e308, -1e308, None]),
    "week": pa.array([1, 2, None], pa.duration("s")),
}


@pytest.mark.parametrize("form", ["parquet", "feather"])
def test_columns_of_every_type_are_measured_or_only_counted(ada, form):
    said = [{"name": name, "role": "feature"} for name in ODD]
    dataset = register(ada, written(form, pa.table(ODD)), said)
    dataset.refresh_from_db()
    found = measured(dataset)
    assert {name: column["missing"] for name, column in found.items()} == {
        name: 3 if name in ("nothing", "empty") else 1 for name in ODD
    }
    assert found["dictionary"]["top"] == [["a", 1], ["b", 1]]
    assert (found["decimal"]["max"], found["infinite"]["max"], found["infinite"]["infinite"]) == (2, 1, 1)
    assert found["large"]["max"] == 2**64 - 1
    assert (found["beyond"]["min"], found["zoned"]["max"]) == (None, "1970-01-01T00:16:40+00:00")
    assert "distinct" not in found["list"]
    assert datasets.statistics(dataset).digest == canonical.digest(datasets.statistics(dataset).content)
    assert len(datasets.preview(dataset, unmasked=False)["rows"]) == 3


def test_a_column_of_any_role_may_be_restricted_too(ada):
    dataset = register(ada, written("parquet"), [{"name": "amount", "role": "feature", "restricted": True}])
    assert set(measured(dataset)["amount"]) <= {"name", "type", "count", "missing", "distinct", "role"}
    assert "amount" in datasets.preview(dataset, unmasked=False)["masked"]


MEMORY = """
import resource, sys
from pathlib import Path
import pyarrow as pa
from registry import snapshots

def most():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024

with Path(sys.argv[1]).open("rb") as file, snapshots.taken(file):
    small = most()
with Path(sys.argv[2]).open("rb") as file, snapshots.taken(file) as snapshot:
    print(snapshot.rows, most() - small)
"""


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_ten_times_the_rows_take_hardly_more_memory(tmp_path, form):
    """Measured as growth of a process of its own over what a tenth of the rows takes there."""
    rows = 400_000
    numbers = {f"n{place}": CHANCE.random(rows).round(6) for place in range(4)}
    table = pa.table({**numbers, "id": [f"row-{place:032}" for place in range(rows)]})
    for name, part in (("small", table.slice(0, rows // 10)), ("large", table)):
        (tmp_path / name).write_bytes(written(form, part))
    said = subprocess.run(
        [sys.executable, "-c", f"import django; django.setup()\n{MEMORY}", tmp_path / "small", tmp_path / "large"],
        check=True,
        capture_output=True,
        text=True,
    )
    found, grown = map(int, said.stdout.split())
    assert found == rows
    assert grown < 60, f"{grown} MB more for {len((tmp_path / 'large').read_bytes()) >> 20} MB"
