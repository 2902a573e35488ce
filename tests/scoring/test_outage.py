"""The database goes away under load: what is answered is kept, drained in order and once, and says so in the log."""

import os
import signal
import subprocess
import sys
import threading
import time

import httpx
import pytest

from governance import holdings
from governance.platform.processes import LOOP, THREADS
from monitoring import watching
from registry import ledger
from registry.models import LedgerEntry
from scoring import sent
from scoring.models import Decision, Drain, Repetition
from tests import builders, outage

SCORE = "/api/v1/models/fraud/score"


@pytest.fixture
def line(committed):
    with outage.line() as made:
        yield made


@pytest.fixture
def token(committed, issue_token):
    """What the servers know from their start."""
    return issue_token(committed.engine, "scoring.score")


@pytest.fixture(params=[LOOP, THREADS])
def server(committed, line, token, tmp_path, request):
    builders.a_champion(committed)
    builders.sequence()
    with outage.server(tmp_path / "home", line.url(), options=f"-k {request.param}") as started:
        started.await_ready()
        yield started


@pytest.fixture
def client(server, token):
    with httpx.Client(base_url=server.url, headers={"Authorization": f"Bearer {token}"}, timeout=30) as made:
        yield made


def ask(client, name, place=0):
    return client.post(SCORE, json={"features": builders.features(place), "request_id": name})


def until(what, done, seconds=20):
    end = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < end, what
        time.sleep(0.02)


def drained(server):
    until("the journal is drained", lambda: not journals(server))


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
    drained(server)
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
    drained(server)
    rows = dict(Decision.objects.values_list("request_id", "id"))
    assert {name: answer["decision_id"] for name, answer in answers.items()} == {
        name: str(key) for name, key in rows.items() if name in answers
    }
    assert failed == []
    assert LedgerEntry.objects.filter(event="decision.answered").count() == Decision.objects.count()
    assert len(answers) > 50


def test_a_request_that_was_sent_before_the_outage_is_not_decided_anew(client, server, line, committed):
    first = ask(client, "again").json()
    line.cut()
    refused = ask(client, "again")
    assert (refused.status_code, "may have its decision already" in refused.json()["detail"]) == (503, True)
    assert not journals(server)
    line.mend()
    until("the database is met again", lambda: ask(client, "again").status_code == 200)
    assert ask(client, "again").json() == first
    assert Decision.objects.count() == 1


def test_without_a_place_on_the_disk_what_was_sent_is_known_to_the_process_alone(people, tmp_path, settings):
    settings.HOME = tmp_path / "file"
    settings.HOME.write_bytes(b"")
    builders.a_champion(people)
    first, second = (builders.a_decision(people, place, request_id=name) for place, name in enumerate(("one", "two")))
    assert not sent.otherwise(first)
    first.id = second.id
    assert sent.otherwise(first)


def test_an_answer_given_by_another_host_and_again_during_the_outage_is_kept_and_counts_once(
    client, server, line, committed
):
    first = ask(client, "again").json()
    sent = server.home / "journal" / "sent"
    with sent.open("r+b") as table:
        table.write(bytes(sent.stat().st_size))  # what this host has sent, another one does not know
    line.cut()
    second = ask(client, "again").json()
    other = ask(client, "again", 1)
    assert (other.status_code, "was used for other features" in other.json()["detail"]) == (422, True)
    assert second["decision_id"] != first["decision_id"]
    until("the watchers saw it", lambda: health(server)["status"] == "journalling")
    line.mend()
    drained(server)
    assert ask(client, "again").json() == first
    assert Decision.objects.count() == 2
    kept = Repetition.objects.get()
    assert [str(kept.decision_id), str(kept.repeats_id)] == [second["decision_id"], first["decision_id"]]
    assert kept.decision.request_id is None
    assert watching._answers(kept.decision.deployment).count() == 1
    drain = Drain.objects.get()
    assert drain.records == 1
    assert ledger.facts_of(LedgerEntry.objects.get(event="journal.drained"))["hash"] == drain.hash
    assert list(holdings.findings()) == []
    until("health is as usual", lambda: health(server)["status"] == "ok")


def health(server):
    return httpx.get(f"{server.url}/health", timeout=10).json()


def test_killed_workers_leave_what_they_answered_and_the_next_ones_drain_it(client, server, line):
    line.cut()
    answers = {}
    for number in range(10):
        answers[f"k{number}"] = ask(client, f"k{number}", number).json()["decision_id"]
    for number in server.workers():
        os.kill(number, signal.SIGKILL)
    line.mend()
    drained(server)
    assert {name: str(key) for name, key in Decision.objects.values_list("request_id", "id")} == answers


def test_a_journal_that_is_changed_or_taken_away_is_found_and_nothing_of_it_enters(client, server, line):
    path = server.home / "journal" / "journal"
    line.cut()
    for number in range(5):
        ask(client, f"t{number}", number)
    whole = path.read_bytes()
    path.write_bytes(whole[:300] + bytes([whole[300] ^ 1]) + whole[301:])
    line.mend()
    until("the damage is seen", lambda: "was changed after it was written" in health(server).get("detail", ""))
    said = subprocess.run(
        [sys.executable, "manage.py", "journal", "verify", "--file", str(path)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "DJANGO_SETTINGS_MODULE": "tests.settings"},
    )
    assert (said.returncode, "do not follow" in said.stderr) == (1, True), said.stderr
    assert not Decision.objects.exists()
    path.write_bytes(whole)
    drained(server)
    assert Decision.objects.count() == 5
