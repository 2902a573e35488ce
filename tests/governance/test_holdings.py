"""What is on record is held against the log: whatever an administrator's hand did to a row is found."""

import io

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from registry import retention
from registry.models import Dataset
from scoring.models import Decision, Deployment, Outcome
from tests import builders


@pytest.fixture
def served(committed):
    """Return a decision of a champion, with an outcome."""
    builders.a_champion(committed)
    decision = builders.a_decision(committed)
    builders.an_outcome(committed, decision)
    kept = {"name": "bsa-5y", "reason": "The law asks for it."}
    retention.assign(dataset=Dataset.objects.get(name="golden"), by=committed.ada, now=builders.now(), **kept)
    return decision


def verified():
    """Return what the command says, and whether it was content."""
    said = io.StringIO()
    try:
        call_command("verify_records", stdout=said)
    except CommandError as error:
        return said.getvalue() + str(error), False
    return said.getvalue(), True


def test_nothing_is_found_where_nothing_was_done(served):
    said, content = verified()
    assert content, said


def tampered(*statements):
    """Do what only a superuser can, statement by statement."""
    for table, sql in statements:
        with builders.superuser(table) as execute:
            execute(sql)


def test_what_a_superuser_changed_is_found(served):
    tampered(
        ("scoring_decision", "UPDATE scoring_decision SET score = 0.5"),
        ("scoring_outcome", "UPDATE scoring_outcome SET label = 1 - label"),
        ("governance_signature", "UPDATE governance_signature SET reason = 'x'"),
        ("governance_order", "UPDATE governance_order SET kind = 'roll back'"),
        ("scoring_deployment", "UPDATE scoring_deployment SET warrant = 'x'"),
        ("registry_modelversion", "UPDATE registry_modelversion SET metrics = '{\"auc\": 1}'"),
        ("registry_datasetretention", "UPDATE registry_datasetretention SET name = 'operational-1y'"),
        ("registry_datasetstatistics", "UPDATE registry_datasetstatistics SET content = '{}'"),
        ("registry_policy", "UPDATE registry_policy SET rules = '{}' WHERE tier = 3"),
    )
    said, content = verified()
    assert not content
    assert "restore their rows" in said
    assert f"decision {served.pk}: is not as it was entered" in said
    assert f"outcome {served.outcomes.get().pk}: is not as it was entered" in said
    for kind in ("signature", "order", "deployment", "version", "policy", "retention class", "statistics of data set"):
        assert f"{kind}: what entry" in said
        assert f"{kind} {'' if kind != 'deployment' else Deployment.objects.get().pk}" in said


def test_what_a_superuser_took_away_is_found(served):
    outcome = served.outcomes.get().pk
    tampered(
        ("scoring_outcome", "DELETE FROM scoring_outcome"),
        ("scoring_decision", "DELETE FROM scoring_decision"),
        ("governance_signature", "DELETE FROM governance_signature"),
        ("monitoring_checkresult", "DELETE FROM monitoring_checkresult"),
    )
    said, content = verified()
    assert not content
    for what in (f"decision {served.pk}", f"outcome {outcome}"):
        assert f"{what}: was entered, but is not on record" in said
    assert said.count("signature: what entry") == 2
    assert "check result: what entry" in said


def test_inputs_that_were_exchanged_are_found(served):
    tampered(("scoring_decision", "UPDATE scoring_decision SET inputs = '{}'"))
    said, content = verified()
    assert not content
    assert said.splitlines()[0] == f"decision {served.pk}: is not as it was entered"


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("DELETE FROM scoring_requestkey", "is not taken by it"),
        ("UPDATE scoring_requestkey SET request_digest = 'x'", "is not taken by it"),
        ("UPDATE scoring_requestkey SET request_id = 'other'", "that it was not asked under"),
    ],
)
def test_a_request_id_that_was_freed_or_given_away_is_found(committed, sql, said):
    builders.a_champion(committed)
    decision = builders.a_decision(committed, request_id="r-1")
    assert verified()[1]
    tampered(("scoring_requestkey", sql))
    found, content = verified()
    assert not content
    assert f"decision {decision.pk}: " in found
    assert said in found


@pytest.mark.parametrize("column", ["entity", "request_digest"])
def test_another_customer_or_request_is_found_at_a_decision(served, column):
    tampered(("scoring_decision", f"UPDATE scoring_decision SET {column} = 'x'"))
    said, content = verified()
    assert not content
    assert f"decision {served.pk}: is not as it was entered" in said


@pytest.mark.parametrize("model", [Decision, Outcome])
def test_a_row_without_an_entry_is_found(served, model):
    table = model._meta.db_table
    names = [field.column for field in model._meta.concrete_fields if field.column not in ("id", "xid")]
    values = ["'other'" if name == "source" else name for name in names]
    sql = f"INSERT INTO {table} (id, {', '.join(names)}) SELECT gen_random_uuid(), {', '.join(values)} FROM {table}"
    tampered((table, sql))
    said, content = verified()
    assert not content
    assert said.count("was never entered") == 1
