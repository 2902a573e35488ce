"""What a decision engine sees: answers that are on record, and refusals that say what, why and what next."""

import threading
from datetime import timedelta

import orjson
import pytest
from django.db import connections
from rest_framework.test import APIClient

from registry import ledger, people
from registry.models import LedgerEntry
from scoring import answering, commitments, serving
from scoring.models import Decision, Outcome
from tests import builders

pytestmark = pytest.mark.urls("scoring.serving_urls")
SCORE = "/api/v1/models/fraud/score"


@pytest.fixture
def engine_client(engine, issue_token):
    client = APIClient()
    token = issue_token(engine, "scoring.score", "scoring.record_outcome", "registry.read")
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {token}")
    return client


@pytest.fixture
def champion(people):
    return builders.a_champion(people)


def post(client, body, path=SCORE, **headers):
    data = body if isinstance(body, bytes) else orjson.dumps(body)
    return client.post(path, data=data, content_type="application/json", **headers)


def test_a_value_beyond_the_reference_data_is_told_of_and_not_refused(champion, engine_client):
    column = next(column for column in champion.schema if column["name"] == "amount")
    usual = post(engine_client, {"features": {**builders.features(), "amount": column["high"]}}).json()
    odd = post(engine_client, {"features": {**builders.features(), "amount": column["high"] + 1}}).json()
    assert "amount" not in usual.get("out_of_range", [])
    assert "amount" in odd["out_of_range"]
    assert odd["score"] is not None
    kept = engine_client.get(f"/api/v1/decisions/{odd['decision_id']}").json()
    assert kept["answer"]["out_of_range"] == odd["out_of_range"]


def test_an_answer_is_explained_and_on_record_before_it_is_seen(champion, engine_client):
    answer = post(engine_client, {"features": builders.features(), "attributes": {"sex": "female"}})
    assert answer.status_code == 200
    seen = answer.json()
    kept = engine_client.get(f"/api/v1/decisions/{seen['decision_id']}").json()
    assert kept["score"] == seen["score"]
    assert kept["features"] == builders.features()
    assert kept["attributes"] == {"sex": "female"}
    said = kept["answer"]
    assert said["base"] + sum(said["attributions"]) == pytest.approx(said["margin"], abs=1e-9)
    assert seen["band"] == answering.band_of(champion.packages.get(), seen["score"])["name"]
    entry = LedgerEntry.objects.get(subject=f"decision:{seen['decision_id']}")
    decision = Decision.objects.get()
    facts = ledger.facts_of(entry)
    assert facts["answer"] == commitments.commit("answer", bytes(decision.answer_salt), bytes(decision.answer))
    assert b"female" not in bytes(entry.bytes)


def test_the_online_score_is_the_batch_score_to_the_bit(champion, engine_client):
    batch = builders.trained().booster.predict(
        serving.champion("fraud", now=builders.now()).schema.matrix([builders.features(7)])
    )
    assert post(engine_client, {"features": builders.features(7)}).json()["score"] == batch[0]


def test_the_same_request_id_is_the_same_decision(champion, engine_client):
    body = {"features": builders.features(), "request_id": "r-1"}
    first, second = (post(engine_client, body).json() for _ in range(2))
    assert first == second
    assert Decision.objects.count() == 1
    other = post(engine_client, {**body, "features": builders.features(1)})
    assert other.status_code == 422
    assert "was used for other features" in other.json()["detail"]


def test_the_same_request_id_at_the_same_moment_is_one_decision(committed, issue_token):
    builders.a_champion(committed)
    token = issue_token(committed.engine, "scoring.score")
    answers = []

    def ask():
        client = APIClient(HTTP_AUTHORIZATION=f"Bearer {token}")
        answers.append(post(client, {"features": builders.features(), "request_id": "same"}).json()["decision_id"])
        connections["default"].close()

    threads = [threading.Thread(target=ask) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == 6
    assert len(set(answers)) == 1
    assert Decision.objects.count() == 1


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"amount": None}, "#/features/amount"),
        ({"amount": "12"}, "#/features/amount"),
        ({"hour": 3.5}, "#/features/hour"),
        ({"channel": "pigeon"}, "#/features/channel"),
        ({"colour": 1}, "#/features/colour"),
    ],
)
def test_a_wrong_feature_is_named(champion, engine_client, change, pointer):
    features = {**builders.features(), **change}
    if change == {"amount": None}:
        features.pop("hour")
        pointer = "#/features/hour"
    answer = post(engine_client, {"features": features})
    assert answer.status_code == 422
    assert answer["Content-Type"] == "application/problem+json"
    assert pointer in [reason["pointer"] for reason in answer.json()["reasons"]]
    assert not Decision.objects.exists()


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        (b"{not json", 422, "not JSON"),
        (b'{"features": {"amount": 1, "amount": 2}}', 422, "'amount' comes twice"),
        (b'{"features": {}, "request_id": "a", "request_id": "b"}', 422, "'request_id' comes twice"),
        (b"[" * 1000 + b"]" * 1000, 422, "Send an object"),
        (b"[" * 30000 + b"]" * 30000, 422, "not JSON"),
        (b'{"features": {"amount": NaN}}', 422, "not JSON"),
        (b'{"features": {"amount": 1e999}}', 422, "not JSON"),
        (b"[]", 422, "Send an object"),
        (b'{"rows": []}', 422, "Send an object"),
        (b'{"features": 5}', 422, "must be an object"),
        (b'{"features": {}, "request_id": 5}', 422, "request_id"),
        (b'{"features": {}, "entity": {}}', 422, "entity"),
        (b'{"features": {"x": "' + b"y" * 70000 + b'"}}', 413, "at most"),
    ],
)
def test_a_wrong_body_says_what_would_be_right(champion, engine_client, body, status, words):
    answer = post(engine_client, body)
    assert (answer.status_code, words in answer.json()["detail"]) == (status, True), answer.json()
    assert not Decision.objects.exists()


@pytest.mark.parametrize("attributes", [[], "", 0, False])
def test_attributes_of_another_form_are_refused_also_when_they_are_empty(champion, engine_client, attributes):
    answer = post(engine_client, {"features": builders.features(), "attributes": attributes})
    assert (answer.status_code, "attributes is an object" in answer.json()["detail"]) == (422, True)
    assert not Decision.objects.exists()


def test_a_database_that_went_away_is_said_so_and_the_same_request_is_answered_once_afterwards(committed, issue_token):
    builders.a_champion(committed)
    client = APIClient(HTTP_AUTHORIZATION=f"Bearer {issue_token(committed.engine, 'scoring.score')}")
    body = {"features": builders.features(), "request_id": "r-1"}
    other = connections["default"].copy()
    with other.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s)", [connections["default"].connection.info.backend_pid])
    other.close()
    answer = post(client, body)
    assert (answer.status_code, answer["Content-Type"]) == (503, "application/problem+json")
    assert (answer["Retry-After"], "database does not answer" in answer.json()["detail"]) == ("1", True)
    connections["default"].close()
    assert not Decision.objects.exists()
    assert [post(client, body).status_code for _ in range(2)] == [200, 200]
    assert Decision.objects.count() == 1


def test_names_that_are_no_model_are_not_remembered(champion, engine_client):
    post(engine_client, {"features": {}}, "/api/v1/models/nothing/score")
    assert "nothing" not in serving._slots


def test_another_media_type_is_refused(champion, engine_client):
    answer = engine_client.post(SCORE, data=b"a=1", content_type="text/plain")
    assert answer.status_code == 415
    assert answer["Content-Type"] == "application/problem+json"


def test_an_unknown_model_and_a_model_without_champion(people, engine_client):
    unknown = post(engine_client, {"features": {}}, "/api/v1/models/nothing/score")
    assert (unknown.status_code, "No model named nothing" in unknown.json()["detail"]) == (404, True)
    builders.a_model(people.ada)
    none = post(engine_client, {"features": {}})
    assert (none.status_code, "no champion yet" in none.json()["detail"]) == (503, True)
    assert none["Retry-After"]


def test_an_unknown_address_is_a_problem_too(db):
    answer = APIClient().get("/api/v1/nothing")
    assert (answer.status_code, answer["Content-Type"]) == (404, "application/problem+json")


def test_strangers_and_wrong_tokens(champion, people, issue_token):
    def ask(token):
        return post(APIClient(HTTP_AUTHORIZATION=f"Bearer {token}"), {"features": builders.features()})

    assert post(APIClient(), {}).status_code == 401
    assert "never issued" in ask("csn_forged").json()["detail"]
    reader = ask(issue_token(people.engine, "registry.read"))
    assert (reader.status_code, "scoring.score" in reader.json()["detail"]) == (403, True)
    secret = issue_token(people.engine, "scoring.score")
    people_tokens = people.engine.tokens.order_by("-created_at")
    people_service = people_tokens[0]
    assert ask(secret).status_code == 200
    revoke(people_service, people)
    assert "revoked" in ask(secret).json()["detail"]


def revoke(token, everybody):
    people.revoke_token(token=token, by=everybody.olivia, now=builders.now())


def test_an_expired_token_says_when_it_expired(champion, people):
    _, secret = people_module_token(people.engine)
    answer = post(APIClient(HTTP_AUTHORIZATION=f"Bearer {secret}"), {"features": builders.features()})
    assert answer.status_code == 401
    assert "expired at" in answer.json()["detail"]
    assert answer["WWW-Authenticate"].startswith("Bearer")


def people_module_token(owner):
    then = builders.now() - timedelta(days=5)
    return people.issue_token(owner=owner, name="old", scopes=["scoring.score"], days=1, by=owner, now=then)


def test_outcomes_are_recorded_once_all_or_none(champion, people, engine_client):
    decision = builders.a_decision(people)
    when = builders.now().isoformat()
    sent = {"outcomes": [{"decision": str(decision.id), "label": 1, "source": "chargeback", "observed_at": when}]}
    assert post(engine_client, sent, "/api/v1/outcomes").json() == {"received": 1, "new": 1}
    assert post(engine_client, sent, "/api/v1/outcomes").json() == {"received": 1, "new": 0}
    bad = {"outcomes": [sent["outcomes"][0] | {"source": "call"}, sent["outcomes"][0] | {"label": 7}]}
    refused = post(engine_client, bad, "/api/v1/outcomes")
    assert refused.status_code == 422
    assert refused.json()["reasons"][0]["pointer"] == "#/outcomes/1/label"
    assert Outcome.objects.count() == 1


@pytest.mark.parametrize(
    "moment",
    ["0001-01-01T00:00:00+14:00", "0001-01-01T00:00:00Z", "1969-12-31T23:59:59Z", "9999-12-31T23:59:59Z", "2026-01-01"],
)
def test_an_outcome_at_a_moment_that_cannot_be_is_refused_and_spoils_no_decision(
    champion, people, engine_client, moment
):
    decision = builders.a_decision(people)
    sent = {"outcomes": [{"decision": str(decision.id), "label": 1, "source": "chargeback", "observed_at": moment}]}
    refused = post(engine_client, sent, "/api/v1/outcomes")
    assert refused.status_code == 422
    assert refused.json()["reasons"][0]["pointer"] == "#/outcomes/0/observed_at"
    assert not Outcome.objects.exists()
    assert engine_client.get(f"/api/v1/decisions/{decision.id}").json()["outcomes"] == []


def test_a_moment_counts_whatever_offset_it_is_told_with(champion, people, engine_client):
    decision = builders.a_decision(people)
    for told in ("2026-01-01T12:00:00+23:59", "2025-12-31T12:01:00Z"):
        sent = {"outcomes": [{"decision": str(decision.id), "label": 1, "source": "call", "observed_at": told}]}
        assert post(engine_client, sent, "/api/v1/outcomes").status_code == 201
    assert Outcome.objects.count() == 1


def test_a_new_deployment_is_in_force_without_a_restart(people, engine_client):
    first = builders.a_champion(people)
    body = {"features": builders.features()}
    assert post(engine_client, body).json()["version"] == first.number
    second = builders.a_champion(people, builders.a_checked_version(people.ada, description="another"))
    serving._slots["fraud"].asked -= serving.FRESH
    assert post(engine_client, body).json()["version"] == second.number
