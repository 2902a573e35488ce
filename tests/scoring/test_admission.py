"""No decision is answered while nobody can tell whether the record stands: no anchor, no database, no answer yet."""

import threading
import time
from contextlib import contextmanager

import pytest
from django.db import connection

from registry import anchor
from registry.ledger import LOGS
from registry.refusals import Unavailable
from scoring import admission
from scoring.models import Decision
from tests import builders


@contextmanager
def held_up():
    """A request in another thread asks how the record stands, of a database that does not answer before this ends."""
    outcome = []

    def ask():
        try:
            outcome.append(admission.demand())
        finally:
            connection.close()

    thread = threading.Thread(target=ask)
    with builders.another_session("vandal") as session:
        session.execute("BEGIN")
        session.execute("LOCK TABLE registry_tree IN ACCESS EXCLUSIVE MODE")
        thread.start()
        end = time.monotonic() + 10
        while not admission._lock.locked() and time.monotonic() < end:
            time.sleep(0.01)
        yield outcome
    thread.join(30)


@pytest.mark.parametrize("log", LOGS)
def test_no_decision_is_answered_when_a_log_that_has_grown_has_no_anchor(committed, log):
    builders.a_champion(committed)
    builders.a_decision(committed)
    builders.sequence()
    builders.forget_serving()
    builders.a_decision(committed)
    kept = anchor.path(log).read_bytes()
    anchor.path(log).unlink()
    admission.forget()
    with pytest.raises(Unavailable, match=f"The {log} log has grown, but there is no anchor"):
        builders.a_decision(committed)
    assert Decision.objects.count() == 2
    anchor.path(log).write_bytes(kept)
    admission.forget()
    builders.a_decision(committed)


def test_the_first_requests_wait_until_it_was_asked_how_the_record_stands(committed, monkeypatch):
    builders.sequence()
    admission.forget()
    with held_up() as first:
        monkeypatch.setattr(admission, "PATIENCE", 0.3)
        begun = time.monotonic()
        with pytest.raises(Unavailable, match="could not be found out"):
            admission.demand()
        assert time.monotonic() - begun >= 0.3
        monkeypatch.setattr(admission, "PATIENCE", 20)
    assert first == [None]
    admission.demand()


def test_requests_go_by_the_last_answer_while_one_asks_but_not_for_long(committed, monkeypatch):
    builders.sequence()
    admission.forget()
    admission.demand()
    monkeypatch.setattr(admission, "FRESH", 0)
    monkeypatch.setattr(admission, "PATIENCE", 0)
    with held_up():
        admission.demand()
        monkeypatch.setattr(admission, "OLDEST", 0.01)
        with pytest.raises(Unavailable, match="could not be found out"):
            admission.demand()
        monkeypatch.setattr(admission, "OLDEST", 60)
    admission.demand()
