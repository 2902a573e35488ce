"""When a log's promise is broken: page, metrics and scoring say so, and stop saying so when it is kept again."""

import pytest
from django.conf import settings
from django.db import connection, transaction

from registry import anchor, breaches, ledger, publishing, sequencing, standing
from registry.ledger import DECISIONS, GOVERNANCE
from registry.models import Checkpoint
from scoring import admission
from scoring.models import Decision
from tests import builders


def enter(count=1, log=GOVERNANCE):
    with transaction.atomic():
        about = [("test:1", {"number": number}) for number in range(count)]
        return ledger.append_all("test.done", about=about, actor="test", at=builders.now(), log=log)


def age(entries, seconds):
    """Let entries have been committed so many seconds ago."""
    with builders.superuser("registry_ledgerentry") as execute:
        execute(
            "UPDATE registry_ledgerentry SET inserted_at = inserted_at - make_interval(secs => %s) WHERE id = ANY(%s)",
            [seconds, [entry.pk for entry in entries]],
        )


@pytest.fixture
def at_rest(committed):
    enter()
    enter(log=DECISIONS)
    builders.sequence()


def health(client):
    answer = client.get("/health")
    return answer.status_code, answer.json()


def test_a_log_that_keeps_its_promises_is_not_red(at_rest, client):
    status, said = health(client)
    assert (status, said["status"], said["faults"]) == (200, "ok", {})
    assert said["logs"][GOVERNANCE]["size"] == said["logs"][GOVERNANCE]["published_size"] > 0


@pytest.mark.parametrize(("seconds", "status"), [(8, 200), (11, 503)])
def test_an_entry_that_waits_longer_than_ten_seconds_turns_it_red(at_rest, client, seconds, status):
    entries = enter(2)
    age(entries[:1], seconds)
    found, said = health(client)
    assert found == status
    assert said["logs"][GOVERNANCE]["unsequenced_seconds"] >= seconds
    assert bool(said["faults"]) == (status == 503)
    if status == 503:
        assert "has waited" in said["faults"][GOVERNANCE][0]
        assert DECISIONS not in said["faults"]
    builders.sequence()
    assert health(client)[0] == 200


def test_an_entry_that_has_its_place_but_is_not_published_turns_it_red(at_rest, client, monkeypatch):
    entries = enter()
    builders.settle_transactions()
    sequencer = sequencing.Sequencer.open(GOVERNANCE)
    with monkeypatch.context() as patch, pytest.raises(OSError, match="full"):
        patch.setattr(publishing.durable, "write_new", no_space)
        sequencer.advance(builders.now())
    age(entries, 11)
    status, said = health(client)
    assert (status, said["logs"][GOVERNANCE]["unsequenced_seconds"]) == (503, 0)
    assert said["logs"][GOVERNANCE]["unpublished_seconds"] >= 11
    sequencing.Sequencer.open(GOVERNANCE).advance(builders.now())
    assert health(client)[0] == 200


def no_space(_):
    raise OSError("The disk is full.")


def test_an_entry_that_no_quorum_cosigns_turns_it_red_after_a_minute(at_rest, client, tmp_path, monkeypatch):
    text = "".join(
        f"log {settings.LOG_VKEY_FILE.with_suffix(f'.{log}.vkey').read_text()}" for log in (GOVERNANCE, DECISIONS)
    )
    key = sequencing.notes.Signer("witness.example/w", bytes([7]) * 32, 4).verifier
    (tmp_path / "policy").write_text(f"{text}witness w {key}\nquorum w\n")
    monkeypatch.setattr(settings, "LOG_POLICY_FILE", tmp_path / "policy")
    assert health(client)[0] == 200
    entries = enter(log=DECISIONS)
    builders.sequence()
    first = ledger.LedgerEntry.objects.filter(log=DECISIONS).earliest("id")
    age([first, *entries], 61)
    status, said = health(client)
    assert status == 503
    assert "to be cosigned" in said["faults"][DECISIONS][0]
    assert said["logs"][DECISIONS]["cosigned_size"] == 0
    assert said["logs"][DECISIONS]["unpublished_seconds"] == 0
    monkeypatch.setattr(standing, "COSIGNED_WITHIN", 600.0)
    assert health(client)[0] == 200


def test_a_breach_is_red_until_it_is_answered(at_rest, client):
    breach = breaches.record(log=DECISIONS, kind="test", detail="Something.", now=builders.now())
    status, said = health(client)
    assert (status, said["logs"][DECISIONS]["breaches"]) == (503, 1)
    breaches.answer(breach_id=breach.pk, reason="Seen.", by="user:1", now=builders.now())
    assert health(client)[0] == 200


def test_a_lost_anchor_and_a_foreign_checkpoint_are_red(at_rest, client):
    path = publishing.folder(GOVERNANCE) / "checkpoint"
    genuine = path.read_text()
    path.write_text("nonsense")
    status, said = health(client)
    assert status == 503
    assert "was not written by its sequencer" in said["faults"][GOVERNANCE][0]
    path.write_text(genuine)
    assert health(client)[0] == 200


@pytest.fixture
def serving(committed):
    builders.a_champion(committed)
    builders.sequence()
    builders.forget_serving()
    return committed


def ask(client, token, place=0):
    return client.post(
        "/api/v1/models/fraud/score",
        {"features": builders.features(place)},
        content_type="application/json",
        headers={"Authorization": f"Bearer {token}"},
    )


@pytest.mark.urls("scoring.serving_urls")
def test_scoring_answers_503_while_more_waits_than_may_be_owed(serving, client, issue_token, monkeypatch):
    monkeypatch.setattr(settings, "LOG_BACKLOG", 2)
    token = issue_token(serving.engine, "scoring.score")
    for place in range(3):
        admission.forget()
        assert ask(client, token, place).status_code == 200
    admission.forget()
    refused = ask(client, token)
    assert refused.status_code == 503
    assert "More than 2 entries of the decisions log wait" in refused.content.decode()
    assert Decision.objects.count() == 3
    builders.sequence()
    admission.forget()
    assert ask(client, token).status_code == 200


@pytest.mark.urls("scoring.serving_urls")
def test_scoring_answers_503_on_a_record_that_was_rolled_back(serving, client, issue_token):
    token = issue_token(serving.engine, "scoring.score")
    assert ask(client, token).status_code == 200
    builders.sequence()
    tables = ("registry_checkpoint", "registry_tree")
    with builders.superuser(*tables) as execute:
        execute("DELETE FROM registry_checkpoint USING registry_tree t WHERE t.id = tree_id AND t.log = 'decisions'")
        execute("DELETE FROM registry_tree WHERE log = 'decisions'")
    admission.forget()
    refused = ask(client, token, 1)
    assert refused.status_code == 503
    assert "its log was cut, or it was rolled back" in refused.content.decode()
    assert Decision.objects.count() == 1
    assert not Checkpoint.objects.filter(tree__log=DECISIONS).exists()
    assert anchor.newest(DECISIONS).size == 1


def test_a_process_asks_about_the_record_once_a_second_and_not_for_every_answer(serving):
    builders.a_decision(serving)
    seen = []

    def listen(execute, sql, *more):
        seen.append(sql)
        return execute(sql, *more)

    with connection.execute_wrapper(listen):
        builders.a_decision(serving, 1)
    assert not [sql for sql in seen if "registry_tree" in sql]
    admission.forget()
    with connection.execute_wrapper(listen):
        builders.a_decision(serving, 2)
    assert [sql for sql in seen if "registry_tree" in sql]


def test_metrics_show_the_figures_that_health_judges(at_rest, client, committed, issue_token):
    entries = enter()
    age(entries, 11)
    token = issue_token(committed.clara, "registry.read")
    page = client.get("/metrics", headers={"Authorization": f"Bearer {token}"})
    assert page.status_code == 200
    rows = dict(line.rsplit(" ", 1) for line in page.content.decode().splitlines() if not line.startswith("#"))
    waits = [float(value) for name, value in rows.items() if "unsequenced_seconds" in name and GOVERNANCE in name]
    assert waits[0] >= 11
