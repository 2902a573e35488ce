"""Where a policy defers explanations, the answer comes at once and a worker completes it; until then it is counted."""

import pytest
from rest_framework.test import APIClient

from governance import holdings
from governance.dossier import issue, verify
from registry import ledger, policies
from registry.models import LedgerEntry
from registry.refusals import Invalid
from scoring import decisions, explaining, replaying
from scoring.events import Event
from scoring.models import Decision, Explanation
from tests import builders

LATER = {"explanations": "deferred"}


def a_deferring_champion(people):
    builders.a_policy(people, **LATER)
    return builders.a_champion(people)


@pytest.fixture
def owing(people):
    a_deferring_champion(people)
    return [builders.a_decision(people, place) for place in range(3)]


def test_an_answer_comes_without_its_explanation_and_owes_it(owing, people):
    answer = decisions.answer_of(owing[0])
    assert (answer["explanation"], answer["reasons"]) == ("pending", [])
    assert answer["band"]
    assert not {"attributions", "base"} & set(answer)
    assert (owing[0].attributions, len(owing[0].vector)) == (None, len(builders.trained().schema.columns))
    assert explaining.pending() == 3


def test_a_worker_completes_what_the_model_says_inline(owing, people):
    assert explaining.explain_waiting(builders.now()) == 3
    assert (explaining.explain_waiting(builders.now()), explaining.pending()) == (0, 0)
    builders.a_policy(people, explanations="inline")
    builders.a_champion(people, builders.a_checked_version(people.ada, description="inline"))
    builders.stale()
    inline = decisions.answer_of(builders.a_decision(people))
    later = decisions.explained(Decision.objects.get(pk=owing[0].pk))
    for name in ("score", "margin", "base", "attributions", "reasons", "features", "environment"):
        assert later[name] == inline[name], name
    row = Explanation.objects.get(decision=owing[0])
    entry = LedgerEntry.objects.get(event=Event.DECISION_EXPLAINED, uuid=row.pk)
    assert ledger.facts_of(entry) == {"explanation": explaining.commitment(row)}
    assert replaying.replay([decision.pk for decision in owing], lambda *_: None).differing == 0


@pytest.mark.urls("scoring.serving_urls")
def test_the_caller_is_told_and_finds_it_when_it_is_there(owing, people, issue_token):
    api = APIClient(HTTP_AUTHORIZATION=f"Bearer {issue_token(people.engine, 'scoring.score', 'registry.read')}")
    asked = api.post("/api/v1/models/fraud/score", {"features": builders.features()}, format="json").json()
    assert (asked["explanation"], asked["reasons"]) == ("pending", [])
    assert asked["score"] is not None
    address = f"/api/v1/decisions/{asked['decision_id']}"
    assert "attributions" not in api.get(address).json()
    explaining.explain_waiting(builders.now())
    found = api.get(address).json()
    assert found["explanation"] == "followed"
    assert found["reasons"][0]["text"]
    assert found["base"] + sum(found["attributions"]) == pytest.approx(found["margin"], abs=1e-9)
    assert found["answer"]["explanation"] == "pending"  # what was answered stays as it was


def test_the_page_waits_and_then_shows_it(owing, people, client):
    client.force_login(people.grace)
    assert "The explanation follows" in client.get(f"/decisions/{owing[0].id}").content.decode()
    explaining.explain_waiting(builders.now())
    assert "Why this score" in client.get(f"/decisions/{owing[0].id}").content.decode()


def test_what_cannot_be_explained_stays_owed_and_keeps_no_other_waiting(owing, people):
    with builders.superuser("scoring_decision") as execute:
        execute("UPDATE scoring_decision SET vector[1] = vector[1] + 1e6 WHERE id = %s", [owing[0].pk])
    assert explaining.explain_waiting(builders.now()) == 2
    assert explaining.explain_waiting(builders.now()) == 0
    assert explaining.pending() == 1
    assert not Explanation.objects.filter(decision=owing[0]).exists()


def test_policies_name_one_of_two_ways(people):
    with pytest.raises(Invalid, match="inline, deferred"):
        builders.a_policy(people, explanations="perhaps")
    assert "explanations" not in policies.in_force(1).rules


@pytest.mark.parametrize("explained", [True, False])
def test_a_dossier_holds_the_explanation_or_says_that_it_is_owed(committed, explained):
    a_deferring_champion(committed)
    decision = builders.a_decision(committed)
    if explained:
        assert explaining.explain_waiting(builders.now()) == 1
    dossier = issue.for_decision(decision=decision, by=committed.clara, now=builders.now())
    assert list(holdings.findings()) == []
    builders.sequence()
    data = issue.archive(dossier)
    told = "\n".join(verify.verify(data)["lines"])
    assert ("still owed" in told) is not explained
    files = verify.unpack(data)
    assert ("decision/explanation.json" in files) is explained
    if explained:
        files["decision/explanation.json"] = files["decision/explanation.json"].replace(b'"base":-', b'"base":')
        with pytest.raises(verify.Bad, match=r"explanation\.json"):
            verify.verify(verify.pack(files))
