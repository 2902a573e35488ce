"""Somebody is told what the log says: signed, in order, again when it fails, and each attempt can be looked up."""

import base64
import hashlib
import hmac
import json
from datetime import timedelta

import pytest
from django.db import connection
from mlflow.entities.webhook import WebhookEvent
from mlflow.webhooks import types

from governance.models import Delivery, DeliveryAttempt, Webhook, WebhookRevision
from governance.privileges import EVENTS
from governance.webhooks import deliveries, events, payloads, sealing, subscriptions
from governance.webhooks.subscriptions import Caretaker
from registry import labels, registrations, versions
from registry.models import LedgerEntry
from registry.refusals import Conflict, Invalid, Mismatch, NotAllowed, Unavailable, Unknown
from tests import builders
from tests.receiving import receiver

SECRET = "a secret that nobody reads"


@pytest.fixture
def here(settings):
    settings.WEBHOOK_ALLOWED_HOSTS = ["127.0.0.1"]
    with receiver() as listening:
        yield listening


def olivia_of(people):
    return Caretaker(people.olivia, everything=True, own_models=False)


def ada_of(people):
    return Caretaker(people.ada, everything=False, own_models=True)


def a_webhook(people, url, *tells, by=None, **told):
    given = {"name": "ci", "secret": SECRET, **told}
    by = by or olivia_of(people)
    return subscriptions.make(url=url, tells=tells or list(events.MLFLOW), by=by, now=builders.now(), **given)


def deliver(webhook, now=None):
    """Let the worker come by; return the attempts made."""
    builders.sequence()
    before = DeliveryAttempt.objects.count()
    while deliveries.follow(now or builders.now()):
        continue
    rung_for = webhook.webhook_id in deliveries.due(now or builders.now())
    while deliveries.deliver_next(webhook.webhook_id, now or builders.now()):
        continue
    made = list(DeliveryAttempt.objects.order_by("at", "pk"))[before:]
    assert rung_for or not made
    return made


def told(here):
    return [json.loads(body) for _, _, body in here.got]


def test_what_mlflow_tells_is_told_in_its_form_and_order(committed, here):
    webhook = a_webhook(committed, f"{here.url}/hook")
    ada, now = committed.ada, builders.now
    model = versions.register_model(name="fraud", description="Cards", by=ada, now=now())
    version = builders.a_version(ada, data=False, tags={"team": "cards"}, description="First")
    labels.tag(model=model, registration=version.registration, key="stage", value="ready", by=ada, now=now())
    labels.tag(model=model, registration=None, key="of the model", value="is no event", by=ada, now=now())
    labels.tag(model=model, registration=version.registration, key="stage", value=None, by=ada, now=now())
    labels.alias(model=model, name="candidate", registration=version.registration, by=ada, now=now())
    labels.alias(model=model, name="candidate", registration=None, by=ada, now=now())
    assert len(deliver(webhook)) == 6

    got = told(here)
    assert [(item["entity"], item["action"]) for item in got] == [
        ("registered_model", "created"),
        ("model_version", "created"),
        ("model_version_tag", "set"),
        ("model_version_tag", "deleted"),
        ("model_version_alias", "created"),
        ("model_version_alias", "deleted"),
    ]
    named = {"name": "fraud", "version": "1"}
    assert [item["data"] for item in got] == [
        {"name": "fraud", "tags": {}, "description": "Cards"},
        {**named, "source": "test", "run_id": None, "tags": {"team": "cards"}, "description": "First"},
        {**named, "key": "stage", "value": "ready"},
        {**named, "key": "stage"},
        {**named, "alias": "candidate"},
        {"name": "fraud", "alias": "candidate"},
    ]
    path, headers, body = here.got[0]
    assert path == "/hook"
    signed = f"{headers['X-MLflow-Delivery-Id']}.{headers['X-MLflow-Timestamp']}.".encode() + body
    code = base64.b64encode(hmac.new(SECRET.encode(), signed, hashlib.sha256).digest()).decode()
    assert headers["X-MLflow-Signature"] == f"v1,{code}"
    assert headers["Content-Type"] == "application/json"
    assert deliver(webhook) == []  # nothing is told twice


def test_a_version_is_told_of_once_when_it_is_asked_for(committed, here):
    webhook = a_webhook(committed, here.url, "model_version.created", "countersign.registration.refused")
    model, ada = builders.a_model(committed.ada), committed.ada
    asked = registrations.ask(
        model=model, source="runs:/1/model", run_id="1", tags={"team": "cards"}, by=ada, now=builders.now()
    )
    deliver(webhook)
    assert [item["data"] for item in told(here)] == [
        {"name": "fraud", "version": "1", "source": "runs:/1/model", "run_id": "1", "tags": {"team": "cards"}}
        | {"description": None}
    ]
    kind, now = registrations.Kind.FAILED, builders.now()
    registrations.refuse(registration=asked, kind=kind, reason="A symlink.", now=now)
    deliver(webhook)
    last = told(here)[-1]
    assert (last["entity"], last["action"], last["data"]["version"]) == ("registration", "refused", 1)
    assert len(here.got) == 2


def test_our_own_events_tell_verdicts_signatures_and_deployments(committed, here):
    names = [f"countersign.{name}" for name in ("check.performed", "approval.signed", "deployment.made")]
    webhook = a_webhook(committed, here.url, *names, secret="")
    version = builders.a_champion(committed)
    deliver(webhook)
    got = told(here)
    verdicts = {
        item["data"]["facts"]["check"]: item["data"]["facts"]["verdict"] for item in got if item["entity"] == "check"
    }
    assert set(verdicts.values()) <= {"pass", "warn"}
    assert "performance" in verdicts
    assert [item["action"] for item in got if item["entity"] != "check"] == ["signed", "signed", "made"]
    assert {(item["data"]["model"], item["data"]["version"]) for item in got} == {("fraud", version.number)}
    assert got[0]["data"]["url"] == "http://127.0.0.1:8000/models/fraud/versions/1"
    assert "X-MLflow-Signature" not in here.got[0][1]


def test_a_webhook_of_a_model_tells_of_that_model_alone_and_of_nothing_before_itself(committed, here):
    ada = committed.ada
    model = builders.a_model(ada)
    webhook = a_webhook(committed, here.url, by=ada_of(committed), model=model)
    other = builders.a_model(ada, "churn")
    builders.a_version(ada, "churn", data=False)
    builders.a_version(ada, data=False)
    deliver(webhook)
    assert [item["data"]["name"] for item in told(here)] == ["fraud"]
    assert [item["entity"] for item in told(here)] == ["model_version"]
    assert other.name == "churn"


def test_a_failing_receiver_is_tried_again_later_and_others_wait_for_the_oldest(committed, here):
    webhook = a_webhook(committed, here.url)
    here.statuses, here.answer = [503, 500, 200], b"busy\0 now"
    builders.a_model(committed.ada)
    builders.a_version(committed.ada, data=False)
    now = builders.now()
    [first] = deliver(webhook, now)
    assert (first.status, first.answer, first.arrived) == (503, "busy now", False)
    assert timedelta(seconds=1) <= first.due_at - now <= timedelta(seconds=2)
    assert deliver(webhook, now) == []
    [second] = deliver(webhook, first.due_at)
    assert timedelta(seconds=3) <= second.due_at - second.at <= timedelta(seconds=6)
    third, other = deliver(webhook, second.due_at)
    assert (third.number, third.status, third.due_at) == (3, 200, None)
    assert other.status == 200
    sent = [headers["X-MLflow-Delivery-Id"] for _, headers, _ in here.got]
    assert sent[0] == sent[1] == sent[2] != sent[3]  # the receiver knows it by its identifier
    assert [item["entity"] for item in told(here)] == ["registered_model"] * 3 + ["model_version"]


def test_after_three_attempts_others_overtake_and_after_ten_it_is_given_up(committed, here):
    webhook = a_webhook(committed, here.url)
    here.statuses = [500] * 3 + [200, 500]
    builders.a_model(committed.ada)
    builders.a_version(committed.ada, data=False)
    now = builders.now()
    for _ in range(3):
        now = deliver(webhook, now)[-1].due_at
        if here.got and len(here.got) == 3:
            break
    overtaken = deliver(webhook, now - timedelta(microseconds=1))
    assert [attempt.status for attempt in overtaken] == [200]
    while not (attempts := deliver(webhook, now)) or attempts[-1].due_at:
        now = attempts[-1].due_at
    last = attempts[-1]
    assert (last.number, last.status, last.due_at) == (10, 500, None)
    assert now - last.delivery.made_at < deliveries.FORGOTTEN
    states = [deliveries.state(row) for row in deliveries.log(webhook.webhook)]
    assert sorted(states) == ["arrived", "failed"]
    assert deliveries.due(now + timedelta(hours=2)) == []


@pytest.mark.parametrize("status", [400, 404, 302])
def test_what_will_not_pass_by_itself_is_not_tried_again(committed, here, status):
    webhook = a_webhook(committed, here.url, "registered_model.created")
    here.statuses, here.headers = [status], {"Location": "http://169.254.169.254/"}
    builders.a_model(committed.ada)
    [attempt] = deliver(webhook)
    assert (attempt.status, attempt.due_at) == (status, None)
    assert ("which is not followed" in attempt.error) == (status == 302)


def test_a_receiver_that_asks_for_time_gets_it(committed, here):
    webhook = a_webhook(committed, here.url, "registered_model.created")
    here.statuses, here.headers = [429], {"Retry-After": "120"}
    builders.a_model(committed.ada)
    [attempt] = deliver(webhook)
    assert attempt.due_at - attempt.at == timedelta(seconds=120)


def test_a_receiver_that_is_gone_is_an_attempt_with_its_error(committed, settings):
    settings.WEBHOOK_ALLOWED_HOSTS = ["127.0.0.1"]
    with receiver() as gone:
        url = gone.url
    webhook = a_webhook(committed, url, "registered_model.created")
    builders.a_model(committed.ada)
    [attempt] = deliver(webhook)
    assert attempt.status is None
    assert "did not answer (ConnectError)" in attempt.error
    assert attempt.due_at


def test_an_address_that_turned_private_since_is_refused_when_delivering(committed, here, settings):
    webhook = a_webhook(committed, here.url, "registered_model.created")
    settings.WEBHOOK_ALLOWED_HOSTS = []
    builders.a_model(committed.ada)
    [attempt] = deliver(webhook)
    assert "127.0.0.1, which is loopback" in attempt.error
    assert (attempt.status, attempt.due_at, here.got) == (None, None, [])


def test_a_disabled_or_removed_webhook_tells_nothing(committed, here):
    webhook, by = a_webhook(committed, here.url), olivia_of(committed)
    subscriptions.change(webhook=webhook.webhook, status="DISABLED", by=by, now=builders.now())
    builders.a_model(committed.ada)
    assert deliver(webhook) == []
    subscriptions.change(webhook=webhook.webhook, status="ACTIVE", by=by, now=builders.now())
    builders.a_model(committed.ada, "churn")
    here.statuses = [500]
    [attempt] = deliver(webhook)
    subscriptions.remove(webhook=webhook.webhook, by=by, now=builders.now())
    assert deliver(webhook, attempt.due_at) == []
    assert len(here.got) == 1
    with pytest.raises(Unknown, match="not found"):
        subscriptions.change(webhook=webhook.webhook, status="ACTIVE", by=by, now=builders.now())
    changed = ["webhook.made", "webhook.changed", "webhook.changed", "webhook.removed"]
    entered = LedgerEntry.objects.filter(subject=f"webhook:{webhook.webhook_id}").order_by("id")
    assert [entry.event for entry in entered] == changed
    assert WebhookRevision.objects.count() == 4  # what it said before is still there


def test_the_secret_is_kept_sealed_and_stands_in_no_entry(committed, here, settings):
    webhook = a_webhook(committed, here.url + "/services/T0/hidden", "registered_model.created")
    with connection.cursor() as cursor:
        cursor.execute("SELECT secret FROM governance_webhookrevision")
        sealed = bytes(cursor.fetchone()[0])
    assert SECRET.encode() not in sealed
    entry = bytes(LedgerEntry.objects.get(event="webhook.made").bytes)
    assert SECRET.encode() not in entry
    assert b"hidden" not in entry  # the address may be a secret by itself
    about = str(webhook.webhook_id)
    assert sealing.unseal(sealed, about) == SECRET
    with pytest.raises(Mismatch, match="another key or another webhook"):
        sealing.unseal(sealed, "another webhook")
    settings.WEBHOOK_KEY_FILE = ""
    with pytest.raises(Unavailable, match="only the worker that sends"):
        sealing.unseal(sealed, about)


def test_a_receiver_that_echoes_the_secret_does_not_bring_it_into_the_record(committed, here):
    webhook = a_webhook(committed, here.url, "registered_model.created")
    here.answer = f"you sent {SECRET}, ".encode() + b"x" * 100_000
    builders.a_model(committed.ada)
    [attempt] = deliver(webhook)
    assert attempt.answer.startswith("you sent …, xxx")
    assert len(attempt.answer) == 500


REFUSED = {
    "a slash in the name": ({"name": "a/b"}, "cannot name a webhook"),
    "no name": ({"name": ""}, "cannot name a webhook"),
    "a long name": ({"name": "a" * 64}, "cannot name a webhook"),
    "an unknown event": ({"tells": ["model_version.deleted"]}, "no event model_version.deleted"),
    "no event": ({"tells": []}, "needs an event"),
    "another status": ({"status": "PAUSED"}, "ACTIVE or DISABLED"),
    "another kind": ({"kind": "pigeon"}, "no kind 'pigeon'"),
    "a long secret": ({"secret": "x" * 1001}, "at most 1000"),
    "plain http": ({"url": "http://1.1.1.1/"}, "unencrypted"),
    "a private address": ({"url": "https://10.0.0.1/"}, "which is private"),
    "a status without its commit": ({"kind": "github-status"}, "{sha}"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_does_not_fit_is_refused_and_nothing_is_kept(people, case):
    changes, reason = REFUSED[case]
    given = {"name": "ci", "url": "https://1.1.1.1/", "tells": ["registered_model.created"], **changes}
    with pytest.raises(Invalid, match=reason):
        subscriptions.make(by=olivia_of(people), now=builders.now(), **given)
    assert not Webhook.objects.exists()
    assert not LedgerEntry.objects.filter(event__startswith="webhook").exists()


def test_who_owns_a_model_looks_after_its_webhooks_and_no_others(people):
    now = builders.now()
    ada, olivia = ada_of(people), olivia_of(people)
    grace = Caretaker(people.grace, everything=False, own_models=False)
    model = builders.a_model(people.ada)
    own = a_webhook(people, "https://1.1.1.1/", by=ada, model=model)
    everything = a_webhook(people, "https://1.1.1.1/", by=olivia)
    for person, of in ((ada, None), (grace, model), (grace, None)):
        with pytest.raises(NotAllowed, match="needs the permission"):
            a_webhook(people, "https://1.1.1.1/", by=person, model=of)
    assert {row.webhook_id for row in subscriptions.looked_after(ada)} == {own.webhook_id}
    assert {row.webhook_id for row in subscriptions.looked_after(olivia)} == {own.webhook_id, everything.webhook_id}
    assert not subscriptions.looked_after(grace).exists()
    with pytest.raises(Unknown, match="not yours"):
        subscriptions.change(webhook=everything.webhook, name="mine", by=ada, now=now)
    subscriptions.change(webhook=own.webhook, name="renamed", by=ada, now=now)
    assert [row.number for row in subscriptions.current()] == [1, 2]


def test_a_delivery_is_repeated_under_an_identifier_of_its_own(committed, here):
    webhook, by = a_webhook(committed, here.url, "registered_model.created"), olivia_of(committed)
    builders.a_model(committed.ada)
    here.statuses = [400, 200]
    deliver(webhook)
    failed = Delivery.objects.get()
    again = deliveries.repeat(delivery=failed, by=by, now=builders.now())
    [attempt] = deliver(webhook)
    assert (attempt.delivery, attempt.status) == (again, 200)
    assert told(here)[0] == told(here)[1]
    assert here.got[0][1]["X-MLflow-Delivery-Id"] != here.got[1][1]["X-MLflow-Delivery-Id"]
    entry = LedgerEntry.objects.get(event="delivery.requested")
    assert (entry.subject, entry.actor) == (f"webhook:{webhook.webhook_id}", committed.olivia.actor)
    subscriptions.change(webhook=webhook.webhook, status="DISABLED", by=by, now=builders.now())
    with pytest.raises(Conflict, match="disabled"):
        deliveries.repeat(delivery=failed, by=by, now=builders.now())
    with pytest.raises(Unknown, match="not yours"):
        deliveries.repeat(delivery=failed, by=ada_of(committed), now=builders.now())
    assert Delivery.objects.count() == 2


@pytest.mark.parametrize("event", events.MLFLOW)
def test_an_example_is_the_one_that_mlflow_sends(event):
    assert payloads.example(event) == types.get_example_payload_for_event(WebhookEvent.from_str(event))


def test_every_name_comes_from_an_event_that_somebody_enters():
    assert {event for entered in events.NAMES.values() for event in entered} <= set(EVENTS)
    assert set(events.GATE) <= set(events.OURS)


COMMIT = "0a" * 20


@pytest.mark.parametrize("kind", ["github-status", "gitlab-status"])
def test_the_gate_of_a_version_is_posted_to_its_commit(committed, here, kind):
    url = f"{here.url}/repos/o/r/statuses/{{sha}}"
    webhook = a_webhook(committed, url, kind=kind)
    builders.a_version(committed.ada, "churn", data=False)  # says no commit
    version = builders.a_version(committed.ada, lineage={"source": "test", "code_commit": COMMIT})
    deliver(webhook)
    builders.check(version)
    deliver(webhook)
    assert {path for path, _, _ in here.got} == {f"/repos/o/r/statuses/{COMMIT}"}
    headers = here.got[0][1]
    name = "context" if kind == "github-status" else "name"
    if kind == "github-status":
        assert headers["Authorization"] == f"Bearer {SECRET}"
    else:
        assert headers["PRIVATE-TOKEN"] == SECRET
    first, last = told(here)[0], told(here)[-1]
    assert (first["state"], first[name]) == ("pending", "countersign/gate")
    assert last["state"] == "success"
    assert last["target_url"] == "http://127.0.0.1:8000/models/fraud/versions/1"
    assert last["description"] == "fraud v1: Every required check passed."
    with pytest.raises(Conflict, match="no example"):
        deliveries.test(webhook=webhook.webhook, event=None, by=olivia_of(committed), now=builders.now())


def test_a_version_that_fails_its_checks_fails_its_commit(committed, here):
    webhook = a_webhook(committed, f"{here.url}/{{sha}}", kind="github-status")
    version = builders.a_version(
        committed.ada, files=builders.broken_files(), lineage={"source": "test", "code_commit": COMMIT}
    )
    builders.check(version)
    deliver(webhook)
    assert told(here)[-1]["state"] == "failure"


def test_a_token_goes_to_no_other_address_than_it_was_given_for(committed, here):
    url, by = f"{here.url}/{{sha}}", olivia_of(committed)
    webhook = a_webhook(committed, url, kind="github-status")
    with pytest.raises(Invalid, match="Send it again with the new address"):
        subscriptions.change(webhook=webhook.webhook, url=f"{here.url}/elsewhere/{{sha}}", by=by, now=builders.now())
    assert subscriptions.current().get().url == url
    with builders.superuser("governance_webhookrevision") as execute:
        execute(f"UPDATE governance_webhookrevision SET url = '{here.url}/elsewhere/{{sha}}'")
    builders.a_version(committed.ada, lineage={"source": "test", "code_commit": COMMIT})
    [attempt] = deliver(webhook)
    assert "sealed for another key or another webhook" in attempt.error
    assert here.got == []
    subscriptions.change(webhook=webhook.webhook, url=url, secret="new", by=by, now=builders.now())
    builders.a_version(committed.ada, lineage={"source": "test", "code_commit": COMMIT})
    deliver(webhook)
    assert here.got[0][1]["Authorization"] == "Bearer new"
