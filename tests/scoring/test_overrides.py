"""People decide otherwise: who, what, why and when is on record, each once, and the log says none of it."""

from datetime import timedelta

import pytest
from rest_framework.test import APIClient

from governance import holdings
from governance.dossier import issue, verify
from registry import ledger
from registry.models import LedgerEntry
from scoring import overrides
from scoring.events import Event
from scoring.models import Outcome, Override
from tests import builders


def told(**changes):
    moment = (builders.now() - timedelta(hours=1)).isoformat()
    given = {"action": "decline", "reason_code": "KYC-7", "text": "Zoë called the branch", "person": "Zoë Müller"}
    return {**given, "source": "case tool", "decided_at": moment, **changes}


def entries():
    return LedgerEntry.objects.filter(event=Event.OVERRIDE_RECORDED)


@pytest.fixture
def decision(people):
    builders.a_champion(people)
    return builders.a_decision(people)


@pytest.fixture
def api(issue_token, people):
    token = issue_token(people.grace, "scoring.override", "registry.read")
    return APIClient(HTTP_AUTHORIZATION=f"Bearer {token}")


def path(decision):
    return f"/api/v1/decisions/{decision.id}/overrides"


@pytest.mark.urls("scoring.serving_urls")
def test_an_override_is_recorded_once_and_the_log_commits_to_it_without_saying_it(decision, api):
    sent = told()
    answers = [api.post(path(decision), sent, format="json") for _ in range(2)]
    assert [(answer.status_code, answer.json()["new"]) for answer in answers] == [(201, 1), (201, 0)]
    row, entry = Override.objects.get(), entries().get()
    assert ledger.facts_of(entry) == {"override": overrides.commitment(row)}
    assert (entry.uuid, entry.subject) == (row.pk, f"decision:{decision.pk}")
    assert not any(word in bytes(entry.bytes).decode() for word in ("Zo", "KYC", "decline", "case tool"))
    kept = api.get(f"/api/v1/decisions/{decision.id}").json()["overrides"][0]
    assert (kept["action"], kept["person"], kept["text"]) == (sent["action"], sent["person"], sent["text"])
    other = api.post(path(decision), {**sent, "action": "let through"}, format="json")
    assert (other.status_code, "change of mind" in other.json()["detail"]) == (409, True)
    assert Override.objects.count() == entries().count() == 1


@pytest.mark.urls("scoring.serving_urls")
@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"action": "shrug"}, "#/overrides/0/action"),
        ({"reason_code": ""}, "#/overrides/0/reason_code"),
        ({"text": 5}, "#/overrides/0/text"),
        ({"decided_at": None}, "#/overrides/0/decided_at"),
        ({"decided_at": "2999-01-01T00:00:00Z"}, "#/overrides/0/decided_at"),
        ({"colour": "red"}, "#/overrides/0/form"),
    ],
)
def test_a_wrong_override_is_named_and_nothing_is_recorded(decision, api, change, pointer):
    answer = api.post(path(decision), told(**change), format="json")
    assert (answer.status_code, answer.json()["reasons"][0]["pointer"]) == (422, pointer)
    assert not Override.objects.exists()
    assert not entries().exists()


@pytest.mark.urls("scoring.serving_urls")
def test_in_bulk_all_or_none(decision, api, people):
    second = builders.a_decision(people, 1)
    sent = [told(decision=str(one.id)) for one in (decision, second)]
    lost = [*sent, told(decision=str(people.grace.pk))]
    assert api.post("/api/v1/overrides", {"overrides": lost}, format="json").status_code == 422
    unknown = [*sent, told(decision="0198c0de-0000-7000-8000-000000000000")]
    assert api.post("/api/v1/overrides", {"overrides": unknown}, format="json").status_code == 404
    assert not Override.objects.exists()
    assert api.post("/api/v1/overrides", {"overrides": sent}, format="json").json() == {"received": 2, "new": 2}
    assert Override.objects.count() == entries().count() == 2


@pytest.mark.urls("scoring.serving_urls")
def test_it_takes_a_right_of_its_own(decision, people, issue_token):
    engine = APIClient(HTTP_AUTHORIZATION=f"Bearer {issue_token(people.engine, 'scoring.score')}")
    refused = engine.post(path(decision), told(), format="json")
    assert (refused.status_code, "scoring.override" in refused.json()["detail"]) == (403, True)
    assert not Override.objects.exists()


@pytest.mark.urls("scoring.serving_urls")
def test_one_outcome_is_told_at_the_address_of_its_decision(decision, people, issue_token):
    engine = APIClient(HTTP_AUTHORIZATION=f"Bearer {issue_token(people.engine, 'scoring.record_outcome')}")
    sent = {"label": 1, "source": "chargeback", "observed_at": builders.now().isoformat()}
    address = f"/api/v1/decisions/{decision.id}/outcome"
    assert [engine.post(address, sent, format="json").json()["new"] for _ in range(2)] == [1, 0]
    assert engine.post(address, {**sent, "decision": str(decision.id)}, format="json").status_code == 422
    assert Outcome.objects.get().decision == decision


def test_the_page_shows_who_decided_otherwise(decision, people, client):
    overrides.record(overrides=[told(decision=str(decision.id))], by=people.grace, now=builders.now())
    client.force_login(people.grace)
    page = client.get(f"/decisions/{decision.id}").content.decode()
    assert "Zoë Müller" in page
    assert "Decline</strong> instead of let through" in page


def test_a_dossier_holds_overrides_and_refuses_one_that_was_changed(committed):
    builders.a_champion(committed)
    decision = builders.a_decision(committed)
    overrides.record(overrides=[told(decision=str(decision.id))], by=committed.grace, now=builders.now())
    dossier = issue.for_decision(decision=decision, by=committed.clara, now=builders.now())
    assert list(holdings.findings()) == []
    builders.sequence()
    data = issue.archive(dossier)
    assert verify.verify(data)["deployments"] == 1
    files = verify.unpack(data)
    name = next(path for path in files if path.startswith("decision/override/"))
    assert b"Zo" not in files[name].split(b'"text"')[1]  # the text by its digest
    changed = {**files, name: files[name].replace(b"KYC-7", b"KYC-8")}
    with pytest.raises(verify.Bad, match=name):
        verify.verify(verify.pack(changed))
