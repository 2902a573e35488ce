"""`manage.py score_file`: a file's rows are decided on as by the API, in their order, and once, whatever happens."""

import os
import signal
import subprocess
import sys
from urllib.parse import quote

import numpy as np
import pandas as pd
import pytest
from django.core.management import CommandError, call_command

from governance import holdings
from governance.demo.payments import FEATURES
from registry import ledger
from registry.models import LedgerEntry
from scoring import decisions
from scoring.models import Decision, RequestKey
from tests import builders, running


@pytest.fixture
def champion(people):
    return builders.a_champion(people)


def payments(rows, **columns):
    return builders.stream()[list(FEATURES)].head(rows).assign(who=[f"c{place}" for place in range(rows)], **columns)


def run(source, target, *options):
    call_command("score_file", str(source), str(target), "--model", "fraud", *options)
    return pd.read_parquet(target) if target.suffix == ".parquet" else pd.read_csv(target, float_precision="round_trip")


def test_rows_of_a_file_get_the_decisions_that_the_api_gives_in_their_order(people, champion, tmp_path, capsys):
    frame = payments(1203, sex="female")
    frame.to_parquet(tmp_path / "in.parquet")
    found = run(tmp_path / "in.parquet", tmp_path / "out.parquet", "--entity", "who", "--attributes", "sex")
    said = capsys.readouterr()
    assert "1,203 of 1,203 rows decided on" in said.out
    assert "scoring 100%" in said.err
    assert [path.name for path in tmp_path.iterdir() if "out" in path.name] == ["out.parquet"]
    for place in (0, 500, 1001, 1202):
        alone = builders.a_decision(people, place, attributes={"sex": "female"}, entity=f"c{place}")
        assert found.score[place] == alone.score
        assert found.band[place] == alone.band
        kept = decisions.by_id(found.decision_id[place])
        assert (kept.entity, decisions.inputs_of(kept)) == (alone.entity, decisions.inputs_of(alone))
        assert found.reasons[place].startswith("[")
    assert Decision.objects.count() == 1203 + 4
    again = run(tmp_path / "in.parquet", tmp_path / "again.csv", "--entity", "who", "--attributes", "sex")
    assert list(again.decision_id) == list(found.decision_id)
    assert list(again.score) == list(found.score)
    assert (Decision.objects.count(), RequestKey.objects.count()) == (1203 + 4, 1203)


def test_a_csv_says_the_same_and_another_run_decides_anew(people, champion, tmp_path):
    frame = payments(40, mine=[f"mine-{place}" for place in range(40)])
    frame.to_csv(tmp_path / "in.csv", index=False, sep=";")
    found = run(tmp_path / "in.csv", tmp_path / "out.csv", "--request-id", "mine")
    assert list(found.request_id) == list(frame.mine)
    assert found.score[7] == builders.a_decision(people, 7).score
    anew = run(tmp_path / "in.csv", tmp_path / "out.csv", "--run", "march")
    assert not set(anew.decision_id) & set(found.decision_id)
    assert list(anew.score) == list(found.score)
    frame.assign(amount=frame.amount + 1).to_csv(tmp_path / "other.csv", index=False)
    with pytest.raises(CommandError, match="request ids of this batch were used before"):
        run(tmp_path / "other.csv", tmp_path / "other-out.csv", "--request-id", "mine")
    assert Decision.objects.count() == 81


def test_a_wrong_row_keeps_the_file_from_being_decided_on_unless_it_is_to_be_left_out(champion, tmp_path):
    frame = payments(30)
    frame.loc[[3, 20], "channel"] = "pigeon"
    frame.to_parquet(tmp_path / "in.parquet")
    with pytest.raises(CommandError, match="2 of 30 rows do not fit .* row 4 channel is not one of"):
        run(tmp_path / "in.parquet", tmp_path / "out.csv")
    assert not Decision.objects.exists()
    assert not LedgerEntry.objects.filter(log=ledger.DECISIONS).exists()
    assert not (tmp_path / "out.csv").exists()
    with pytest.raises(CommandError, match="2 rows do not fit"):
        run(tmp_path / "in.parquet", tmp_path / "out.csv", "--skip-wrong")
    found = pd.read_csv(tmp_path / "out.csv")
    assert list(np.flatnonzero(found.error.notna())) == [3, 20]
    assert list(np.flatnonzero(found.decision_id.isna())) == [3, 20]
    assert Decision.objects.count() == 28


# columns that the file lacks, what it is written to, options, what is said
REFUSED = [
    ([], "out.txt", [], "must end in .parquet or .csv"),
    ([], "out.csv", ["--model", "nothing"], "No model named nothing"),
    ([], "out.csv", ["--by", "grace"], "does not hold scoring.score"),
    ([], "out.csv", ["--by", "zoe"], "does not hold scoring.score"),
    ([], "out.csv", ["--entity", "absent"], "no column absent"),
    (["channel"], "out.csv", [], "no column channel"),
    ([], "out.csv", ["--run", "x" * 21], "at most 20"),
]


def test_what_cannot_be_is_refused_and_nothing_is_decided(champion, tmp_path):
    for lacking, target, options, reason in REFUSED:
        payments(3).drop(columns=lacking).to_parquet(tmp_path / "in.parquet")
        with pytest.raises(CommandError, match=reason):
            run(tmp_path / "in.parquet", tmp_path / target, *options)
        assert not (tmp_path / target).exists()
    assert not Decision.objects.exists()


def test_a_killed_run_is_taken_up_where_it_was(committed, tmp_path):
    builders.a_champion(committed)
    payments(5000).to_parquet(tmp_path / "in.parquet")
    target = tmp_path / "out.parquet"
    command = [sys.executable, "manage.py", "score_file", str(tmp_path / "in.parquet"), str(target), "--model", "fraud"]
    url = running.own_database(os.environ["DATABASE_URL"])
    as_scoring = f"{'&' if '?' in url else '?'}options={quote('-c role=countersign_scoring')}"
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "governance.settings", "PROCESS": "scoring"}
    environment["DATABASE_URL"] = url + as_scoring
    process = subprocess.Popen(command, cwd=running.ROOT, env=environment, stderr=subprocess.PIPE, text=True)
    said = []
    for line in process.stderr:
        said.append(line)
        if line.startswith("scoring"):
            process.send_signal(signal.SIGKILL)
            break
    assert process.wait(60) == -signal.SIGKILL, said
    decided = set(Decision.objects.values_list("pk", flat=True))
    assert 0 < len(decided) < 5000
    assert not target.exists()
    found = run(tmp_path / "in.parquet", target)
    assert len(found) == Decision.objects.count() == RequestKey.objects.count() == 5000
    assert decided < {Decision._meta.pk.to_python(text) for text in found.decision_id}
    assert [path.name for path in tmp_path.iterdir() if "out" in path.name] == ["out.parquet"]
    builders.sequence()
    assert list(holdings.findings()) == []
