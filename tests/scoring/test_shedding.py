"""Overload: whoever has waited too long is told so at once, and whoever is admitted is answered soon."""

import itertools
import statistics
import threading
import time

import httpx
import pytest

from scoring import shedding
from scoring.models import Decision
from tests import builders, outage

SCORE = "/api/v1/models/fraud/score"


@pytest.fixture(autouse=True)
def _calm(monkeypatch):
    monkeypatch.setattr(shedding, "_short_at", time.monotonic())


def test_a_burst_may_wait_but_a_line_that_never_gets_short_may_not(monkeypatch):
    clock = itertools.count()
    monkeypatch.setattr(shedding, "_short_at", 0.0)
    monkeypatch.setattr(shedding.time, "monotonic", lambda: next(clock) * 0.05)
    admitted = [shedding.room(10, 0.3) for _ in range(20)]
    assert admitted == [True] * 10 + [False] * 10
    assert shedding.room(10, shedding.SHORT)
    assert shedding.room(10, 0.3)


def test_nobody_waits_longer_than_a_burst_or_in_a_line_that_is_too_long():
    assert not shedding.room(0, shedding.BURST + 0.01)
    assert not shedding.room(shedding.LONGEST + 1, 0)
    assert shedding.room(shedding.LONGEST, 0)


@pytest.mark.parametrize(("path", "member"), [("/api/v1/models/m/score", "detail"), ("/v2/models/m/infer", "error")])
def test_a_refusal_has_the_form_of_its_protocol_and_only_what_changes_something_is_refused(path, member):
    said = {}

    def start(status, headers):
        said.update(headers, status=status)

    gate = shedding.Gate(lambda environ, start: [b"answered"])
    shedding.stood(0, 9.0)
    body = b"".join(gate({"REQUEST_METHOD": "POST", "PATH_INFO": path}, start))
    assert (said["status"][:3], said["Retry-After"]) == ("503", "1")
    assert "Nothing was decided" in shedding.orjson.loads(body)[member]
    shedding.stood(0, 9.0)
    assert gate({"REQUEST_METHOD": "GET", "PATH_INFO": path}, start) == [b"answered"]
    assert gate({"REQUEST_METHOD": "POST", "PATH_INFO": path}, start) == [
        b"answered"
    ]  # another request, which stood nowhere


def test_under_overload_the_admitted_are_quick_and_the_refused_are_told_at_once(committed, issue_token, tmp_path):
    token = issue_token(committed.engine, "scoring.score")
    builders.a_champion(committed)
    builders.sequence()
    answers, ended = [], threading.Event()

    def load(number):
        with httpx.Client(base_url=server.url, headers={"Authorization": f"Bearer {token}"}, timeout=60) as client:
            while not ended.is_set():
                begun = time.monotonic()
                answer = client.post(SCORE, json={"features": builders.features(number)})
                answers.append((answer.status_code, time.monotonic() - begun, answer.headers.get("Retry-After")))

    with outage.line() as line, outage.server(tmp_path / "home", line.url(), workers=1, threads=1) as server:
        server.await_ready()
        line.delay = 0.005  # a database as slow as that: each answer takes at least so long
        threads = [threading.Thread(target=load, args=[number]) for number in range(24)]
        for thread in threads:
            thread.start()
        time.sleep(6)
        ended.set()
        for thread in threads:
            thread.join()
    admitted = sorted(took for status, took, _ in answers if status == 200)
    shed = [(took, again) for status, took, again in answers if status == 503]
    assert {status for status, _, _ in answers} == {200, 503}
    assert len(admitted) == Decision.objects.count()
    assert {again for _, again in shed} == {"1"}
    # 24 clients in one line would wait for 24 answers each; nobody who is admitted waits longer than a burst may.
    p99 = admitted[int(len(admitted) * 0.99)]
    assert p99 < shedding.BURST + 20 * statistics.median(admitted[: len(admitted) // 4])
    assert len(admitted) > 20
