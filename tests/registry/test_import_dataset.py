"""`manage.py import_dataset`: any file, roles said or guessed and confirmed, nothing half done."""

import os
import signal
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from django.core.management import CommandError, call_command

from registry import datasets, retention
from registry.models import Dataset, LedgerEntry
from tests import running

CHANCE = np.random.default_rng(2)
N = 1200


@pytest.fixture
def messy(tmp_path):
    """What real files look like: tabs, gaps, words as labels, an identifier, a constant, many ages."""
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
            "e-mail": [f"p{i}@example.org" for i in range(N)],
            "outcome": CHANCE.choice(["good", "bad"], N, p=[0.9, 0.1]),
        }
    )
    frame.loc[:20, "amount; net"] = None
    frame.loc[5, "outcome"] = None
    path = tmp_path / "messy.csv"
    frame.to_csv(path, index=False, sep="\t")
    return path


def test_the_command_registers_the_file_once(people, messy, capsys):
    for _ in range(2):
        call_command("import_dataset", str(messy), "--label", "outcome", "--id", "id", "--protected", "age")
    dataset = Dataset.objects.get()
    rows = datasets.read(dataset).to_pandas()
    assert len(rows) == dataset.rows == N - 1
    roles = {column["name"]: column["role"] for column in dataset.columns}
    assert roles == {
        "id": "id",
        "amount; net": "feature",
        "country": "feature",
        "opened": "time",
        "active": "feature",
        "visits": "feature",
        "constant": "other",
        "age": "protected",
        "e-mail": "restricted",
        "outcome": "label",
    }
    kinds = {column["name"]: column["kind"] for column in dataset.columns if column["role"] == "feature"}
    assert kinds == {"amount; net": "number", "country": "category", "active": "boolean", "visits": "integer"}
    said = pd.read_csv(messy, sep="\t").dropna(subset="outcome").reset_index(drop=True)
    assert rows["outcome"].tolist() == (said["outcome"] == "bad").astype(int).tolist()
    assert rows["age"].nunique() == 4
    assert rows.groupby("age").size().min() > N / 8
    out = capsys.readouterr()
    assert dataset.digest in out.out
    assert "1 rows without a label were left out" in out.out
    assert "looking at types 100%" in out.err, "how far it is"
    with pytest.raises(CommandError, match="nobody named zoe"):
        call_command("import_dataset", str(messy), "--label", "outcome", "--by", "zoe")


def test_guessed_roles_are_shown_and_kept_only_when_somebody_says_yes(people, messy, capsys):
    with pytest.raises(CommandError, match="These roles are guessed. Say --yes"):
        call_command("import_dataset", str(messy))
    assert "  e-mail: restricted" in capsys.readouterr().out
    assert not Dataset.objects.exists()
    with pytest.raises(CommandError, match="label opened has 1200 different values"):
        call_command("import_dataset", str(messy), "--role", "outcome=score", "--role", "opened=label")
    call_command("import_dataset", str(messy), "--yes", "--role", "outcome=segment", "--retention", "operational-1y")
    dataset = Dataset.objects.get()
    assert dataset.named("segment") == ["outcome"]
    given = retention.of(dataset)
    assert (given.name, given.set_by) == ("operational-1y", people.ada)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--label", "absent"], "no column absent"),
        (["--label", "id"], "must have two"),
        (["--label", "outcome", "--adverse", "ugly"], "never says 'ugly'"),
        (["--label", "outcome", "--role", "outcome=time"], "outcome: a column has one role"),
        (["--role", "outcome"], "Write --role COLUMN=ROLE"),
        (["--role", "outcome=king"], "one of these roles"),
        (["--role", "absent=segment"], "absent: name a column"),
        (["--role", "country=time"], "Row [2-9] .* column country that is not a date"),
        (["--role", "id=feature"], "Column id cannot be a feature"),
        (["--yes", "--retention", "for-ever"], "No policy in force knows the retention class"),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_is_kept(people, messy, options, reason):
    with pytest.raises(CommandError, match=reason):
        call_command("import_dataset", str(messy), *options)
    assert not Dataset.objects.exists()


def test_a_killed_import_leaves_nothing_and_can_be_repeated(committed, tmp_path):
    rows = 400_000
    frame = pd.DataFrame({"amount": CHANCE.random(rows).round(6), "text": [f"{i:040}" for i in range(rows)]})
    frame.to_csv(tmp_path / "rows.csv", index=False)
    command = [sys.executable, "manage.py", "import_dataset", str(tmp_path / "rows.csv"), "--yes"]
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "tests.settings"}
    environment["DATABASE_URL"] = running.own_database(environment["DATABASE_URL"])
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    environment["SCRATCH"] = str(scratch)
    process = subprocess.Popen(command, cwd=running.ROOT, env=environment, stderr=subprocess.PIPE, text=True)
    for line in process.stderr:
        if line.startswith("measuring"):
            process.send_signal(signal.SIGKILL)
            break
    assert process.wait(60) == -signal.SIGKILL
    assert not Dataset.objects.exists()
    assert not LedgerEntry.objects.filter(event="dataset.registered").exists()
    assert list(scratch.iterdir()) == []
