"""Each stage finds its own work, and a worker that dies loses nothing."""

from datetime import timedelta

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
    ]


def test_a_new_policy_asks_for_new_runs(people):
    version = builders.a_checked_version(people.ada)
    rules = policies.in_force(1).rules
    policies.adopt(tier=1, rules={**rules, "retention_days": 1}, by=people.alan, now=builders.now())
    assert runs.verdict(version, policies.in_force(1)) == "insufficient"
    assert len(runs.open_missing(builders.now())) == 4


def test_a_run_is_performed_once_and_entered(people):
    version = builders.a_version(people.ada)
    runs.open_missing(builders.now())
    run = CheckRun.objects.get(check_name="performance")
    result = performing.perform(run, performing.measure_performance, now=builders.now())
    assert performing.perform(run, performing.measure_performance, now=builders.now()) is None
    entry = LedgerEntry.objects.get(event="check.performed")
    assert entry.subject == f"version:{version.id}"
    assert ledger.facts_of(entry)["result"] == result.digest


def test_a_run_whose_worker_died_is_taken_up_again(people):
    builders.a_version(people.ada)
    now = builders.now()
    runs.open_missing(now)
    run = CheckRun.objects.get(check_name="bias")
    assert runs.lease(run, now)
    assert run not in runs.waiting(now + timedelta(minutes=1))
    assert run in runs.waiting(now + runs.LEASE + timedelta(seconds=1))


def test_a_version_without_data_is_insufficient_and_says_what_is_missing(people):
    version = builders.a_version(people.ada, data=False)
    builders.check(version)
    results = runs.results(version, policies.in_force(1))
    assert {result.verdict for result in results.values()} == {"insufficient"}
    assert "without a holdout data set" in results["performance"].reasons[0]


def test_a_holdout_without_protected_attributes_is_insufficient_for_bias_alone(people):
    version = builders.a_version(people.ada, protected=())
    builders.check(version)
    results = runs.results(version, policies.in_force(1))
    assert [name for name, result in results.items() if result.verdict == "insufficient"] == ["bias"]
    assert "names no protected attribute. Register it with at least one" in results["bias"].reasons[0]


def test_a_check_that_breaks_is_an_error_and_blocks(people):
    version = builders.a_version(people.ada)
    runs.open_missing(builders.now())

    def broken(candidate, rules):
        raise ZeroDivisionError

    performing.perform(CheckRun.objects.get(check_name="bias"), broken, now=builders.now())
    assert CheckResult.objects.get().verdict == "error"
    assert runs.verdict(version, policies.in_force(1)) == "error"


def test_a_candidate_is_measured_beside_the_champion_on_the_same_rows(people):
    champion = builders.a_champion(people)
    made = builders.trained()
    columns = training.columns(made.schema, label=payments.LABEL, time=payments.TIME, protected=payments.PROTECTED)
    other = builders.parquet(made.holdout.tail(900))
    holdout = datasets.register(data=other, name="later", columns=columns, by=people.ada, now=builders.now())
    version = versions.register(
        model=champion.model,
        files=builders.model_files(),
        by=people.ada,
        now=builders.now(),
        lineage={"source": "test"},
        data={"training": champion.training, "reference": champion.reference, "holdout": holdout},
    )
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
