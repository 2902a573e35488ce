"""Any file is read for what it is, and a file that cannot be used says why."""

import numpy as np
import pandas as pd
import pytest
from django.core.management import CommandError, call_command

from governance import importing, training
from monitoring import frames
from registry import datasets
from registry.models import Dataset
from registry.refusals import Invalid

CHANCE = np.random.default_rng(2)
N = 800


@pytest.fixture
def messy(tmp_path):
    """What real files look like: semicolons, gaps, dates as text, words as labels, an identifier, a constant."""
    frame = pd.DataFrame(
        {
            "id": [f"acc-{i}" for i in range(N)],
            "amount; net": CHANCE.lognormal(3, 1, N).round(2),
            "country": CHANCE.choice(["DE", "FR", None], N),
            "opened": pd.date_range("2020-01-01", periods=N).strftime("%Y-%m-%d"),
            "active": CHANCE.choice(["true", "false"], N),
            "visits": pd.array(CHANCE.integers(0, 9, N), dtype="Int64"),
            "constant": "x",
            "age": CHANCE.integers(18, 90, N),
            "outcome": CHANCE.choice(["good", "bad"], N, p=[0.9, 0.1]),
        }
    )
    frame.loc[:20, "amount; net"] = None
    frame.loc[5, "outcome"] = None
    path = tmp_path / "messy.csv"
    frame.to_csv(path, index=False, sep="\t")
    return path


def read(path, **given):
    return importing.read(path, **{"label": "outcome", "identifier": "id", "protected": ["age"], **given})


def test_a_messy_file_is_understood(messy):
    found = read(messy)
    kinds = {column.name: (column.kind, column.nullable) for column in found.schema.columns}
    assert kinds == {
        "amount; net": ("number", True),
        "country": ("category", True),
        "opened": ("date", False),
        "active": ("boolean", False),
        "visits": ("integer", False),
    }
    assert found.frame["outcome"].mean() == pytest.approx(0.1, abs=0.05)
    assert found.frame["age"].nunique() == 4
    notes = " ".join(found.notes)
    assert "1 rows without a label" in notes
    assert "'bad' counts as the adverse event" in notes
    assert "constant" in notes


def test_what_was_imported_can_be_trained_on_and_scored_row_by_row(messy):
    found = read(messy)
    made = training.train(found.frame, found.schema, label="outcome", keep=["age"])
    row = frames.plain(made.holdout.iloc[0].to_dict(), made.schema)
    single = made.booster.predict(made.schema.vector(row)[None], num_threads=1)[0]
    assert single == made.golden["score"].iloc[0]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"label": "nothing"}, "has no column nothing. Its columns are: id, amount"),
        ({"label": "country", "protected": ["sex"]}, "has no column sex"),
        ({"label": "visits"}, "9 different values; it must have two"),
        ({"time": "country"}, "not moments"),
    ],
)
def test_a_wrong_choice_of_columns_is_named(messy, change, reason):
    with pytest.raises(Invalid, match=reason):
        read(messy, **change)


@pytest.mark.parametrize(
    ("name", "content"), [("a.csv", b""), ("a.parquet", b"PAR1"), ("a.csv", b"one\n1\n"), ("a.csv", b"\0\1\2")]
)
def test_a_file_that_is_no_table_is_refused(tmp_path, name, content):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(Invalid, match="cannot be read|holds no table|has no column"):
        read(path)
    with pytest.raises(Invalid, match="There is no file"):
        read(tmp_path / "absent.csv")


def test_the_command_registers_the_file_once(people, messy, capsys):
    for _ in range(2):
        call_command("import_dataset", str(messy), "--label", "outcome", "--id", "id", "--protected", "age")
    dataset = Dataset.objects.get()
    assert datasets.read(dataset).num_rows == dataset.rows == N - 1
    assert dataset.named("protected") == ["age"]
    assert dataset.digest in capsys.readouterr().out
    with pytest.raises(CommandError, match="nobody named zoe"):
        call_command("import_dataset", str(messy), "--label", "outcome", "--by", "zoe")
