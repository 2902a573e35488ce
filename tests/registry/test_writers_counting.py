"""Who counts entries, and what survives: rollbacks, savepoints, sessions that are lost, processes that fork."""

import os
import threading

import orjson
import pytest
from django.db import DatabaseError, connection, transaction

from registry import ledger
from registry.ledger import DECISIONS, GOVERNANCE
from registry.models import LedgerEntry
from registry.refusals import Invalid
from registry.tlog.writers import Writers
from tests import builders

LOG = "counting"


class Undone(Exception):
    pass


def enter(count=1, log=LOG, **facts):
    about = [("test:1", facts)] * count
    return ledger.append_all("test.done", about=about, actor="test", at=builders.now(), log=log)


def said(log=LOG):
    """Return writer and number of each committed entry, oldest first."""
    rows = LedgerEntry.objects.filter(log=log).order_by("id").values_list("bytes", flat=True)
    return [tuple(orjson.loads(bytes(data))["writer"]) for data in rows]


def numbers(log=LOG):
    return [number for _, number in said(log)]


def whole(log=LOG):
    """Say that an auditor finds no gap and nothing twice."""
    found = Writers()
    rows = LedgerEntry.objects.filter(log=log).order_by("id").values_list("bytes", flat=True)
    return [item for data in rows for item in found.feed(bytes(data))] == []


def test_entries_are_counted_from_one_on_in_each_log_alone(committed):
    with transaction.atomic():
        enter(2)
        enter(1, "other")
        enter(3)
    with transaction.atomic():
        enter()
    assert (numbers(), numbers("other")) == ([1, 2, 3, 4, 5, 6], [1])
    assert len({name for name, _ in said()}) == 1


def test_a_rollback_gives_the_numbers_back(committed):
    for kept in (True, False, True):
        try:
            with transaction.atomic():
                enter(2)
                if not kept:
                    raise Undone
        except Undone:
            pass
    assert numbers() == [1, 2, 3, 4]
    assert whole()


def test_a_savepoint_gives_back_its_own_numbers_only(committed):
    with transaction.atomic():
        enter()
        with pytest.raises(Undone), transaction.atomic():
            enter(3)
            with transaction.atomic():
                enter()
            raise Undone
        enter()
        with transaction.atomic():
            enter()
    assert numbers() == [1, 2, 3]
    assert whole()


def test_an_entry_that_is_refused_takes_no_number(committed):
    with transaction.atomic():
        with pytest.raises(Invalid):
            enter(pad="x" * 5000)
        enter()
    assert numbers() == [1]


def test_an_insert_that_the_database_refuses_takes_no_number(committed):
    with pytest.raises(DatabaseError, match="too long"), transaction.atomic():
        enter(log="x" * 21)
    with pytest.raises(DatabaseError, match="too long"), transaction.atomic():
        enter()
        with transaction.atomic():
            enter(log="x" * 21)
    with transaction.atomic():
        enter()
    assert numbers() == [1]


def test_the_first_statement_of_a_transaction_may_be_an_entry(committed):
    with pytest.raises(Undone), transaction.atomic():
        enter()
        raise Undone
    assert said() == []


def end_session(pid):
    """Take this thread's session away, as an administrator does from a session of his own."""

    def act():
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])
        connection.close()

    ending = threading.Thread(target=act)
    ending.start()
    ending.join()


def test_after_a_session_was_lost_a_new_writer_begins(committed):
    with transaction.atomic():
        enter(2)
    with pytest.raises(DatabaseError), transaction.atomic():
        enter()
        end_session(connection.connection.info.backend_pid)
    connection.close()
    with transaction.atomic():
        enter(2)
    (first, one), (same, two), (other, again), (_, further) = said()
    assert first == same != other
    assert (one, two, again, further) == (1, 2, 1, 2)
    assert whole()


def test_a_commit_whose_answer_is_lost_uses_no_number_twice(committed, monkeypatch):
    """The server commits, and the session ends before it can say so."""
    commit = connection._commit

    def lost():
        commit()
        pid = connection.connection.info.backend_pid
        end_session(pid)
        connection.cursor().execute("SELECT 1")

    with monkeypatch.context() as patch, pytest.raises(DatabaseError), transaction.atomic():
        enter()
        patch.setattr(connection, "_commit", lost)
    connection.close()
    with transaction.atomic():
        enter()
    (first, one), (second, again) = said()
    assert first != second
    assert (one, again) == (1, 1)
    assert whole()


def test_a_session_lost_between_two_transactions_costs_nothing(committed):
    with transaction.atomic():
        enter()
    end_session(connection.connection.info.backend_pid)
    connection.close()
    with transaction.atomic():
        enter()
    assert numbers() == [1, 2]
    assert whole()


def test_a_forked_process_is_another_writer(committed):
    with transaction.atomic():
        enter()
    connection.close()
    child = os.fork()
    if not child:
        code = 1
        try:
            with transaction.atomic():
                enter()
            connection.close()
            code = 0
        finally:
            os._exit(code)
    assert os.waitpid(child, 0)[1] == 0
    with transaction.atomic():
        enter()
    (mine, one), (childs, first), (again, two) = said()
    assert mine == again != childs
    assert (one, first, two) == (1, 1, 2)


def test_each_thread_is_a_writer(committed):
    def act():
        with transaction.atomic():
            enter(2)
        connection.close()

    threads = [threading.Thread(target=act) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({name for name, _ in said()}) == 4
    assert whole()


def test_both_logs_of_ours_count_alone(committed):
    with transaction.atomic():
        enter(2, GOVERNANCE)
        enter(1, DECISIONS)
    counted = numbers(GOVERNANCE)  # who the people are was entered before
    assert (counted, numbers(DECISIONS)) == (list(range(1, len(counted) + 1)), [1])
