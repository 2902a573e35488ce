"""The database goes away under load: what is answered is kept, drained in order and once, and says so in the log."""

import threading
import time

import httpx
import pytest

from registry import ledger
from registry.models import LedgerEntry
from scoring.models import Decision
from tests import builders, outage

SCORE = "/api/v1/models/fraud/score"


@pytest.fixture
def line(committed):
    with outage.line() as made:
        yield made


@pytest.fixture
def server(committed, line, tmp_path):
    builders.a_champion(committed)
    builders.sequence()
    with outage.server(tmp_path / "home", line.url()) as started:
        started.await_ready()
        yield started


@pytest.fixture
def client(committed, server, issue_token):
    token = issue_token(committed.engine, "scoring.score")
    with httpx.Client(base_url=server.url, headers={"Authorization": f"Bearer {token}"}, timeout=30) as made:
        yield made


def ask(client, name, place=0):
    return client.post(SCORE, json={"features": builders.features(place), "request_id": name})


def until(what, done, seconds=20):
    end = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < end, what
        time.sleep(0.02)


def journals(server):
    return (server.home / "journal" / "journal").exists()


def test_answers_go_on_and_are_drained_once_and_marked_as_journalled(client, server, line):
    before = ask(client, "before").json()
    line.cut()
    during = [ask(client, f"during {number}", number).json() for number in range(20)]
    assert all(answer["score"] is not None for answer in during)
    assert [ask(client, f"during {number}", number).json() for number in range(20)] == during
    assert Decision.objects.count() == 1
    assert oct((server.home / "journal" / "journal").stat().st_mode)[-3:] == "640"
    line.mend()
    until("the journal is drained", lambda: not journals(server))
    answers = [before, *during]
    rows = {str(row.id): row for row in Decision.objects.all()}
    assert set(rows) == {answer["decision_id"] for answer in answers}
    assert [ask(client, f"during {number}", number).json() for number in range(20)] == during
    entries = LedgerEntry.objects.filter(event="decision.answered").order_by("id")
    told = [ledger.facts_of(entry).get("journal") for entry in entries]
    assert told[0] is None
    assert [place.split("/")[1] for place in told[1:]] == [str(number) for number in range(1, 21)]
    assert [str(entry.uuid) for entry in entries[1:]] == [answer["decision_id"] for answer in during]


def test_nothing_is_lost_or_doubled_under_load(client, server, line):
    answers, failed, ended = {}, [], threading.Event()

    def load(worker):
        number = 0
        while not ended.is_set():
            name = f"{worker}/{number}"
            try:
                answer = ask(client, name, number % 50)
            except httpx.TransportError:
                continue
            if answer.status_code == 200:
                answers[name] = answer.json()
                number += 1
            else:
                failed.append(answer.json()["detail"])
                time.sleep(0.05)

    threads = [threading.Thread(target=load, args=[worker]) for worker in range(6)]
    for thread in threads:
        thread.start()
    for _ in range(2):
        time.sleep(1.5)
        line.cut()
        time.sleep(1.5)
        line.mend()
    time.sleep(2)
    ended.set()
    for thread in threads:
        thread.join()
    until("the journal is drained", lambda: not journals(server))
    rows = dict(Decision.objects.values_list("request_id", "id"))
    assert {name: answer["decision_id"] for name, answer in answers.items()} == {
        name: str(key) for name, key in rows.items() if name in answers
    }
    assert failed == []
    assert LedgerEntry.objects.filter(event="decision.answered").count() == Decision.objects.count()
    assert len(answers) > 50
