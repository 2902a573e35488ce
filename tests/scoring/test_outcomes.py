"""The truth about decisions: all or none, each once, and the ledger commits to it without saying it."""

import threading
from datetime import timedelta

import pytest
from django.db import connection, connections
from django.test.utils import CaptureQueriesContext

from registry import ledger
from registry.models import LedgerEntry
from registry.refusals import Conflict
from scoring import outcomes
from scoring.events import Event
from scoring.models import Outcome
from tests import builders


def told(decision, number, label=1, source="chargeback"):
    moment = builders.now() - timedelta(days=1, seconds=number)
    return {"decision": str(decision.id), "label": label, "source": source, "observed_at": moment.isoformat()}


def entries():
    return LedgerEntry.objects.filter(event=Event.OUTCOME_RECORDED)


@pytest.fixture
def decision(people):
    builders.a_champion(people)
    return builders.a_decision(people)


def test_the_ledger_commits_to_an_outcome_and_says_neither_label_nor_source(decision, people):
    sent = [told(decision, 1, source="Zoë Müller, branch 12"), told(decision, 1, label=1, source="second source")]
    assert outcomes.record(outcomes=sent, by=people.engine, now=builders.now()) == 2
    rows = {outcomes.commitment(row) for row in Outcome.objects.all()}
    facts = [ledger.facts_of(entry) for entry in entries()]
    assert {fact["outcome"] for fact in facts} == rows
    assert [set(fact) for fact in facts] == [{"outcome"}, {"outcome"}]
    salts = {bytes(row.salt) for row in Outcome.objects.all()}
    assert [len(salt) for salt in salts] == [32, 32]


def test_a_thousand_outcomes_take_a_handful_of_queries(decision, people):
    sent = [told(decision, number) for number in range(998)]
    sent += sent[:2]
    with CaptureQueriesContext(
        connection,
    ) as asked:
        assert outcomes.record(outcomes=sent, by=people.engine, now=builders.now()) == 998
    assert len(asked) <= 8
    assert Outcome.objects.count() == entries().count() == 998
    assert outcomes.record(outcomes=sent, by=people.engine, now=builders.now()) == 0
    assert entries().count() == 998


def test_a_correction_follows_what_it_corrects_however_they_were_sent(decision, people):
    sent = [told(decision, number, label=number % 2) for number in range(40)]  # each earlier than the one before it
    outcomes.record(outcomes=sent, by=people.engine, now=builders.now())
    moments = list(Outcome.objects.order_by("xid", "id").values_list("observed_at", flat=True))
    assert moments == sorted(moments)
    assert len(moments) == 40


@pytest.mark.parametrize("already", [True, False], ids=["on record", "in the same request"])
def test_one_contradiction_and_nothing_is_recorded(decision, people, already):
    sent = [told(decision, number) for number in range(50)]
    if already:
        outcomes.record(outcomes=sent[:1], by=people.engine, now=builders.now())
    with pytest.raises(Conflict, match="chargeback said 1 about decision .* A correction is an outcome observed later"):
        outcomes.record(outcomes=[*sent, sent[0] | {"label": 0}], by=people.engine, now=builders.now())
    assert Outcome.objects.count() == entries().count() == int(already)


def test_the_same_outcomes_from_two_senders_at_once_are_recorded_once(committed):
    builders.a_champion(committed)
    decision = builders.a_decision(committed)
    sent = [told(decision, number) for number in range(300)]
    new, broken = [], []

    def send(ordered):
        try:
            new.append(outcomes.record(outcomes=ordered, by=committed.engine, now=builders.now()))
        except Exception as error:  # noqa: BLE001 - told to the test below
            broken.append(error)
        finally:
            connections["default"].close()

    threads = [threading.Thread(target=send, args=(ordered,)) for ordered in (sent, sent[::-1]) * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert broken == []
    assert sum(new) == Outcome.objects.count() == entries().count() == 300
