"""Servers come and go, and no request is lost by it."""

import os
import signal
import threading
import time
from contextlib import contextmanager

import pytest

from governance.platform.processes import LOOP, THREADS
from scoring.models import Decision
from tests.installations import until
from tests.scoring import listening
from tests.scoring.listening import row
from tests.scoring.test_loop_commits import held_up, sent

pytestmark = pytest.mark.usefixtures("record")


@contextmanager
def asking(server, clients=6):
    """Ask without a pause on kept-alive connections, as RFC 9112 wants it; yields what came back, and what failed."""
    answers, failures, ended = [], [], threading.Event()

    def ask(place):
        while not ended.is_set():
            try:
                with server.connected() as client:
                    keep = True
                    while keep and not ended.is_set():
                        answer = client.post(row(place))
                        answers.append(answer)
                        keep = answer.headers["connection"] == "keep-alive"
            except (OSError, AssertionError) as error:
                failures.append(error)

    threads = [threading.Thread(target=ask, args=(place,)) for place in range(clients)]
    for thread in threads:
        thread.start()
    try:
        yield answers, failures
    finally:
        ended.set()
        for thread in threads:
            thread.join()


def settled(answers, failures):
    """Say of all that came back that it is an answer on record."""
    assert failures == []
    assert {answer.status for answer in answers} == {200}
    ids = {answer.json()["decision_id"] for answer in answers}
    assert len(ids) == len(answers)
    assert Decision.objects.filter(pk__in=ids).count() == len(ids)


def test_reloading_under_load_loses_no_request(token):
    with listening.serving(token, worker=LOOP) as server:
        before = server.workers()
        with asking(server) as (answers, failures):
            until(lambda: len(answers) > 20, "they ask")
            os.kill(server.process.pid, signal.SIGHUP)
            until(lambda: not set(before) & set(server.workers()), "the old ones are gone")
            count = len(answers)
            until(lambda: len(answers) > count + 20, "they ask on")
    settled(answers, failures)
    assert any(answer.headers["connection"] == "close" for answer in answers)


def test_a_server_that_has_answered_enough_gives_way(token):
    with listening.serving(token, "--workers", "1", "--max-requests", "40") as server:
        before = server.workers()
        with asking(server) as (answers, failures):
            until(lambda: len(answers) > 120, "they ask")
        assert server.workers() != before
    settled(answers, failures)


@pytest.mark.parametrize("worker", [LOOP, THREADS])
def test_what_is_under_way_is_answered_before_the_end(token, worker):
    with listening.serving(token, "--workers", "1", worker=worker) as server:
        with server.connected() as waiting, server.connected() as idle:
            assert (waiting.post(row()).status, idle.post(row()).status) == (200, 200)
            with held_up():
                sent(waiting, row())
                time.sleep(0.3)
                server.process.send_signal(signal.SIGTERM)
                time.sleep(0.3)
            answer = waiting.answer()
            assert answer.status == 200
            assert Decision.objects.filter(pk=answer.json()["decision_id"]).exists()
            assert waiting.is_hung_up()
            assert idle.is_hung_up()
        assert server.process.wait(10) == 0


def test_a_request_on_a_kept_connection_is_answered_after_the_end_was_asked_for(token):
    with listening.serving(token, "--workers", "1") as server, server.connected() as client:
        assert client.post(row()).headers["connection"] == "keep-alive"
        server.process.send_signal(signal.SIGTERM)
        time.sleep(0.2)
        answer = client.post(row())
        assert (answer.status, answer.headers["connection"]) == (200, "close")
        assert client.is_hung_up()


def test_a_server_that_hangs_gives_way(token):
    with listening.serving(token, "--workers", "1", "--timeout", "2") as server:
        (hung,) = server.workers()
        os.kill(hung, signal.SIGSTOP)
        until(lambda: server.workers() not in ([hung], []), "another one is there")
        with server.connected() as client:
            assert client.post(row()).status == 200
