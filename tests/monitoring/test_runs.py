"""Each stage finds its own work, and a worker that dies loses nothing."""

import os
import subprocess
import sys
import time
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from django.db import connection

from governance import training
from governance.demo import payments
from monitoring import performing, runs
from monitoring.candidates import Candidate
from monitoring.models import CheckResult, CheckRun
from registry import datasets, ledger, policies, versions
from registry.models import LedgerEntry
from tests import builders


def test_a_version_owes_every_check_of_the_policy_once(people):
    builders.a_version(people.ada)
    for _ in range(3):
        runs.open_missing(builders.now())
    assert sorted(CheckRun.objects.values_list("check_name", flat=True)) == [
        "bias",
        "consistency",
        "drift",
        "performance",
        "safety",
    ]


def test_a_new_policy_asks_for_new_runs(people):
    version = builders.a_checked_version(people.ada)
    rules = policies.in_force(1).rules
    policies.adopt(tier=1, rules={**rules, "retention_days": 1}, by=people.alan, now=builders.now())
    assert runs.verdict(version, policies.in_force(1)) == "insufficient"
    assert len(runs.open_missing(builders.now())) == 5


def test_a_run_is_performed_once_and_entered(people):
    version = builders.a_version(people.ada)
    runs.open_missing(builders.now())
    run = CheckRun.objects.get(check_name="performance")
    result = performing.perform(run, now=builders.now())
    assert performing.perform(run, now=builders.now()) is None
    entry = LedgerEntry.objects.get(event="check.performed")
    assert entry.subject == f"version:{version.id}"
    assert ledger.facts_of(entry)["result"] == result.digest


WORKER = """
import django; django.setup()
import os, sys, time
from django.utils import timezone
from monitoring.models import CheckAttempt, CheckRun
from monitoring import runs
from registry import locks
run = CheckRun.objects.get(pk=sys.argv[1])
with locks.alone(runs.lock_of(run)) as mine:
    CheckAttempt.objects.create(run=run, started_at=timezone.now())
    print(mine, flush=True)
    time.sleep(600)
"""


@contextmanager
def a_worker_at(run):
    """A real process that holds a run, as a worker in the middle of its check does."""
    url = urlsplit(os.environ["DATABASE_URL"])._replace(path=f"/{connection.settings_dict['NAME']}").geturl()
    env = os.environ | {"DATABASE_URL": url, "DJANGO_SETTINGS_MODULE": "governance.settings", "PROCESS": "checks"}
    worker = subprocess.Popen([sys.executable, "-c", WORKER, str(run.pk)], env=env, stdout=subprocess.PIPE, text=True)
    try:
        assert worker.stdout.readline() == "True\n"
        yield worker
    finally:
        worker.kill()
        worker.wait()


def owed(people, check):
    builders.a_version(people.ada)
    runs.open_missing(builders.now())
    return CheckRun.objects.get(check_name=check)


def test_a_run_belongs_to_one_worker_and_is_free_at_once_when_that_is_killed(committed):
    run = owed(committed, "performance")
    with a_worker_at(run) as worker:
        assert run not in runs.waiting(builders.now())
        assert runs.running(run.version, run.policy, builders.now()) == {"performance"}
        assert performing.perform(run, now=builders.now()) is None
        worker.kill()
        worker.wait()
        assert eventually(lambda: run in runs.waiting(builders.now()))
    assert performing.perform(run, now=builders.now()).verdict == "pass"
    assert run.attempts.count() == 2
    assert not runs.running(run.version, run.policy, builders.now())


def eventually(done, seconds=10):
    """Say whether it became true: the server notices a killed client a moment later."""
    end = time.monotonic() + seconds
    while not done() and time.monotonic() < end:
        time.sleep(0.05)
    return done()


@contextmanager
def a_store_out_of_reach(run):
    """The folder of the artifact is no folder for a while: an error of the machine, not a missing file."""
    folder = builders.stored(run.version.artifact[run.version.lineage["model_file"]]["sha256"]).parent
    folder.rename(f"{folder}.away")
    folder.write_bytes(b"")
    try:
        yield
    finally:
        folder.unlink()
        Path(f"{folder}.away").rename(folder)


def test_a_store_out_of_reach_condemns_no_version(people):
    run = owed(people, "performance")
    with a_store_out_of_reach(run):
        assert performing.perform(run, now=builders.now()) is None
    assert not CheckResult.objects.exists()
    assert run in runs.waiting(builders.now())
    assert performing.perform(run, now=builders.now()).verdict == "pass"


def test_a_run_interrupted_time_and_again_ends_as_an_error_that_says_so(people):
    run = owed(people, "performance")
    with a_store_out_of_reach(run):
        for _ in range(3):
            assert performing.perform(run, now=builders.now()) is None
    result = performing.perform(run, now=builders.now())
    assert result.verdict == "error"
    assert "interrupted 3 times" in result.reasons[0]
    assert performing.perform(run, now=builders.now()) is None


def test_an_outage_is_given_time_before_the_last_attempt(people):
    run, now = owed(people, "performance"), builders.now()
    with a_store_out_of_reach(run):
        performing.perform(run, now=now)
        performing.perform(run, now=now)
    assert run not in runs.waiting(now + timedelta(minutes=9))
    assert run in runs.waiting(now + timedelta(minutes=11))


def test_a_missing_artifact_is_a_failure_for_good(people):
    run = owed(people, "performance")
    with builders.changed_on_disk(run.version):
        assert performing.perform(run, now=builders.now()).verdict == "fail"


def test_a_version_without_data_is_insufficient_and_says_what_is_missing(people):
    version = builders.a_version(people.ada, data=False)
    builders.check(version)
    results = runs.results(version, policies.in_force(1))
    assert results.pop("safety").verdict == "pass", "which looks at the files alone"
    assert {result.verdict for result in results.values()} == {"insufficient"}
    assert "without a holdout data set" in results["performance"].reasons[0]


def test_a_holdout_without_protected_attributes_is_insufficient_for_bias_alone(people):
    version = builders.a_version(people.ada, protected=())
    builders.check(version)
    results = runs.results(version, policies.in_force(1))
    assert [name for name, result in results.items() if result.verdict == "insufficient"] == ["bias"]
    assert "names no protected attribute. Register it with at least one" in results["bias"].reasons[0]


def test_a_check_that_breaks_is_an_error_and_blocks(people):
    made = builders.trained()
    number = next(column.name for column in made.schema.columns if column.kind == "number")
    spoilt = made.holdout.assign(**{number: "many"})
    version = with_holdout(people, spoilt)
    builders.check(version)
    results = runs.results(version, policies.in_force(1))
    assert results["performance"].verdict == "error"
    assert "ValueError" in results["performance"].reasons[0]
    assert runs.verdict(version, policies.in_force(1)) == "error"


def test_a_check_that_nobody_knows_is_an_error_that_names_it(people):
    checks = policies.in_force(1).rules["checks"]
    builders.a_policy(people, checks={**checks, "novelty": {}})
    version = builders.a_checked_version(people.ada)
    result = runs.results(version, policies.in_force(1))["novelty"]
    assert (result.verdict, "No check is named novelty" in result.reasons[0]) == ("error", True)


def test_a_policy_without_a_parameter_is_insufficient_and_named(people):
    builders.a_policy(people, parameters={"bias": {"smallest": 30}})
    version = builders.a_checked_version(people.ada)
    result = runs.results(version, policies.in_force(1))["drift"]
    assert result.verdict == "insufficient"
    assert "sets no delta, alpha for drift" in result.reasons[0]


def with_holdout(people, frame, **columns):
    """Register the model with another hold-out."""
    made = builders.trained()
    roles = training.columns(made.schema, label=payments.LABEL, time=payments.TIME, protected=payments.PROTECTED)
    sets = {
        name: datasets.register(
            data=builders.parquet(rows), name=name, columns=roles, by=people.ada, now=builders.now()
        )
        for name, rows in (("training", made.training), ("holdout", frame))
    }
    return versions.register(
        model=builders.a_model(people.ada),
        files=builders.model_files(),
        by=people.ada,
        now=builders.now(),
        lineage={"source": "test"},
        data={**sets, "reference": sets["training"]},
    )


def test_rows_that_serving_refuses_are_left_out_and_counted(people):
    made = builders.trained()
    word = next(column.name for column in made.schema.columns if column.kind == "category")
    frame = made.holdout.astype({word: "object"}).reset_index(drop=True)
    frame.loc[:9, word] = "never seen"
    version = with_holdout(people, frame)
    builders.check(version)
    results = runs.results(version, policies.in_force(1))
    found = {item["name"]: item for item in results["consistency"].measurements}
    assert found["unscorable_rows"]["value"] == 10
    assert found["unscorable_share"]["value"] == pytest.approx(10 / len(frame))
    assert found["online_batch_difference"]["value"] == 0
    assert results["performance"].evidence["rows"] == len(frame) - 10


def test_only_versions_that_matter_are_checked_again_under_a_new_policy(people):
    champion = builders.a_champion(people)
    builders.a_checked_version(people.ada, description="Neither newest nor asked for.")
    builders.a_checked_version(people.ada, description="The newest.")
    untouched = builders.a_version(people.ada, "other")
    builders.a_policy(people, retention_days=1)
    opened = {run.version for run in runs.open_missing(builders.now())}
    assert {str(version) for version in opened} == {str(champion), "fraud v3", str(untouched)}


def test_finding_what_is_owed_is_one_query_however_many_versions(people, django_assert_num_queries):
    for name in ("one", "two", "three"):
        builders.a_version(people.ada, name)
    assert len(runs.open_missing(builders.now())) == 15
    with django_assert_num_queries(1):
        assert runs.open_missing(builders.now()) == []


def test_a_candidate_is_measured_beside_the_champion_on_the_same_rows(people):
    champion = builders.a_champion(people)
    version = with_holdout(people, builders.trained().holdout.tail(900))
    builders.check(version)
    policy = policies.in_force(1)
    own = runs.results(champion, policy)
    for name, result in runs.results(version, policy).items():
        if name not in ("performance", "bias"):
            continue
        beside = result.evidence["champion"]
        assert beside["version"] == champion.digest
        assert beside["measurements"] == result.measurements  # the very same bytes: equal, on equal rows
        assert beside["measurements"] != own[name].measurements


def test_a_damaged_champion_does_not_stand_in_its_successors_way(people):
    champion = builders.a_champion(people)
    version = builders.a_version(people.ada)
    with builders.changed_on_disk(champion):
        assert Candidate(version).champion is None
    assert Candidate(version).champion is not None
