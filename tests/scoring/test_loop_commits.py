"""Decisions that share a commit: durable before they are seen, one for each request_id, numbered without a gap."""

import json
import os
import signal
import time
from contextlib import ExitStack, contextmanager

import pytest
from django.db import connection

from registry import ledger
from registry.models import LedgerEntry
from scoring.models import Decision
from tests import builders, outage
from tests.installations import until
from tests.scoring import listening
from tests.scoring.listening import row

pytestmark = pytest.mark.usefixtures("record")


@pytest.fixture(scope="module")
def server(token):
    with listening.serving(token, "--workers", "1", "--timeout", "2") as started:
        yield started


@contextmanager
def connections(server, count):
    with ExitStack() as stack:
        yield [stack.enter_context(server.connected()) for _ in range(count)]


@contextmanager
def held_up():
    """Let nobody insert a decision meanwhile."""
    with builders.another_session("lock") as session, session.transaction():
        session.execute("LOCK TABLE scoring_decision IN SHARE ROW EXCLUSIVE MODE")
        yield


def sent(client, body):
    data = json.dumps(body).encode()
    client.send(client.head(len(data)) + data)


def transactions(answers):
    """Return how many transactions put these on record; each gets there, on a slow machine by way of the journal."""
    ids = {answer.json()["decision_id"] for answer in answers}
    assert len(ids) == len(answers)
    until(lambda: Decision.objects.filter(pk__in=ids).count() == len(ids), "all are on record", 30)
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(DISTINCT xid::text) FROM scoring_decision WHERE id = ANY(%s::uuid[])", [[*ids]])
        return cursor.fetchone()[0]


def numbers():
    """Return by writer the numbers of their entries of decisions, each of which must be there once."""
    found = {}
    for entry in LedgerEntry.objects.filter(log=ledger.DECISIONS).order_by("id"):
        name, number = json.loads(bytes(entry.bytes))["writer"]
        found.setdefault(name, []).append(number)
    return found


def assert_without_gap():
    for name, found in numbers().items():
        assert sorted(found) == list(range(1, len(found) + 1)), name


def test_answers_wait_for_their_commit_and_share_it(server):
    with connections(server, 20) as clients:
        assert clients[0].post(row()).status == 200
        with held_up():
            for place, client in enumerate(clients):
                sent(client, row(place))
            clients[0].sock.settimeout(0.3)
            with pytest.raises(TimeoutError):
                clients[0].answer()
        clients[0].sock.settimeout(30)
        answers = [client.answer() for client in clients]
    assert {answer.status for answer in answers} == {200}
    assert transactions(answers) <= 3
    assert_without_gap()


def test_a_request_id_that_comes_twice_while_it_is_committed_is_one_decision(server):
    with connections(server, 6) as clients:
        with held_up():
            for place, client in enumerate(clients):
                sent(client, {**row(), "request_id": "both"} if place % 2 else {**row(), "request_id": f"only {place}"})
            time.sleep(0.3)
        answers = [client.answer() for client in clients]
    assert {answer.status for answer in answers} == {200}
    assert len({answer.body for answer in answers[1::2]}) == 1
    assert transactions([*answers[::2], answers[1]]) <= 3
    assert Decision.objects.filter(request_id="both").count() == 1
    assert_without_gap()


def test_what_repeats_holds_up_nothing_else_of_its_group(server):
    with connections(server, 12) as clients:
        known = [clients[0].post({**row(place), "request_id": f"known {place}"}) for place in range(3)]
        with held_up():
            sent(clients[0], row())
            for place, client in enumerate(clients[1:4]):
                sent(client, {**row(place), "request_id": f"known {place}"})
            sent(clients[4], {**row(9), "request_id": "known 1"})
            for client in clients[5:]:
                sent(client, row(5))
            time.sleep(0.3)
        answers = [client.answer() for client in clients]
    assert [answer.body for answer in answers[1:4]] == [answer.body for answer in known]
    assert (answers[4].status, "other features" in answers[4].json()["detail"]) == (422, True)
    transactions([answers[0], *answers[5:]])
    assert_without_gap()


def test_a_commit_that_takes_long_is_kept_elsewhere_and_no_reason_to_kill_the_server(server):
    """The arbiter gives a server 2 s to show that it lives; a database that hangs is another matter."""
    workers = server.workers()
    with connections(server, 2) as (one, other):
        with held_up():
            began = time.monotonic()
            answer = one.post({**row(), "request_id": "long"})
            assert (answer.status, time.monotonic() - began < 8) == (200, True)
            assert other.get("/ready").status == 200
            time.sleep(max(0, began + 5 - time.monotonic()))
        assert server.workers() == workers
        until(lambda: Decision.objects.filter(request_id="long").exists(), "the journal is drained", 20)
        assert one.post({**row(), "request_id": "long"}).body == answer.body
    assert_without_gap()


def test_a_session_that_is_lost_loses_and_doubles_nothing(server):
    with connections(server, 8) as clients, builders.another_session("killer") as killer:
        wanted = {}
        for turn in range(6):
            for place, client in enumerate(clients):
                sent(client, {**row(place), "request_id": f"lost {turn} {place}"})
            killer.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() "
                "AND application_name = 'countersign scoring'"
            )
            for place, client in enumerate(clients):
                answer = client.answer()
                assert answer.status in (200, 503), answer.body
                wanted[f"lost {turn} {place}"] = answer.json()["decision_id"] if answer.status == 200 else None
            time.sleep(0.3)
        for name, decision in wanted.items():
            until(lambda name=name: _asked_again(server, name).status == 200, "it is answered", 20)
            kept = str(Decision.objects.get(request_id=name).pk)
            assert decision in (None, kept)
            assert _asked_again(server, name).json()["decision_id"] == kept
    assert_without_gap()


def _asked_again(server, name):
    with server.connected() as client:
        return client.post({**row(int(name.split()[-1])), "request_id": name})


@pytest.fixture
def line(served):
    with outage.line() as made:
        yield made


def test_a_database_that_hangs_is_taken_for_gone_and_found_again(token, line, tmp_path):
    """Each answer has its decision, and one of them, whether it was committed before, or kept in the journal."""
    with listening.serving(token, url=line.url(), COUNTERSIGN_HOME=str(tmp_path)) as server:
        with connections(server, 6) as clients:
            assert {client.post(row()).status for client in clients} == {200}
            line.hangs = True
            began = time.monotonic()
            for place, client in enumerate(clients):
                sent(client, {**row(place), "request_id": f"hung {place}"})
            answers = [client.answer() for client in clients]
            assert {answer.status for answer in answers} == {200}
            assert time.monotonic() - began < 10
            assert clients[0].post({**row(), "request_id": "hung 0"}).body == answers[0].body
            line.hangs = False
            until(lambda: not (tmp_path / "journal" / "journal").exists(), "the journal is drained", 30)
        for place, answer in enumerate(answers):
            assert str(Decision.objects.get(request_id=f"hung {place}").pk) == answer.json()["decision_id"]
            assert _asked_again(server, f"hung {place}").body == answer.body
    assert_without_gap()


def test_a_server_killed_has_recorded_what_it_answered_and_answered_nothing_else(token):
    with listening.serving(token, "--workers", "1") as server:
        with connections(server, 8) as clients:
            assert clients[0].post(row()).status == 200
            for place, client in enumerate(clients):
                sent(client, {**row(place), "request_id": f"killed {place}"})
            os.kill(server.workers()[0], signal.SIGKILL)
            seen = {}
            for place, client in enumerate(clients):
                try:
                    seen[place] = client.answer().json()["decision_id"]
                except ConnectionError:
                    seen[place] = None
        until(server.answers, "another one answers")
        for place, decision in seen.items():
            again = _asked_again(server, f"killed {place}")
            assert again.status == 200
            assert decision in (None, again.json()["decision_id"])
    assert Decision.objects.filter(request_id__startswith="killed").count() == 8
