"""Many rows at once: the same decisions as one by one, all or none, in order, and once however often they are sent."""

import threading
from dataclasses import replace

import numpy as np
import orjson
import pytest
import skops.io
from django.conf import settings
from django.db import connections
from rest_framework.test import APIClient
from sklearn.linear_model import LogisticRegression

from governance import holdings
from registry import ledger
from registry.models import LedgerEntry
from registry.schema import Schema
from scoring import answering, asking, runtimes, serving
from scoring.models import Decision, RequestKey
from tests import builders

pytestmark = pytest.mark.urls("scoring.serving_urls")
BATCH, SCORE = "/api/v1/models/fraud/score:batch", "/api/v1/models/fraud/score"


@pytest.fixture
def client(engine, issue_token):
    builders.forget_serving()
    return APIClient(HTTP_AUTHORIZATION=f"Bearer {issue_token(engine, 'scoring.score', 'registry.read')}")


@pytest.fixture
def champion(people):
    return builders.a_champion(people)


def post(client, body, path=BATCH):
    data = body if isinstance(body, bytes) else orjson.dumps(body)
    return client.post(path, data=data, content_type="application/json")


def rows(count, prefix=None, first=0):
    return [
        {"features": builders.features(place)} | ({"request_id": f"{prefix}{place}"} if prefix else {})
        for place in range(first, first + count)
    ]


def nothing_is_on_record():
    return not Decision.objects.exists() and not LedgerEntry.objects.filter(log=ledger.DECISIONS).exists()


def test_rows_are_decided_as_they_would_be_one_by_one_and_in_their_order(champion, client):
    sent = [row | {"entity": f"e{place}", "attributes": {"sex": "female"}} for place, row in enumerate(rows(70))]
    answered = post(client, {"rows": sent}).json()["decisions"]
    alone = [post(client, row, SCORE).json() for row in sent[:20]]
    for one, other in zip(answered, alone, strict=False):
        assert {**one, "decision_id": 0, "at": 0} == {**other, "decision_id": 0, "at": 0}
    kept = [Decision.objects.get(pk=one["decision_id"]) for one in answered]
    assert [row.entity for row in kept] == [row["entity"] for row in sent]
    assert ledger.of([row.pk for row in kept]).filter(event="decision.answered").count() == 70


def test_one_wrong_row_is_pointed_to_and_nothing_is_recorded(champion, client):
    sent = rows(5, "r")
    sent[3]["features"] = {**sent[3]["features"], "amount": "twelve"}
    sent[4]["request_id"] = 5
    refused = post(client, {"rows": sent})
    assert refused.status_code == 422
    assert [reason["pointer"] for reason in refused.json()["reasons"]] == ["#/rows/3/features/amount", "#/rows/4"]
    assert nothing_is_on_record()
    assert not RequestKey.objects.exists()


NO_BATCHES = [
    (b'{"rows": []}', 422, "1 to 1,000 rows"),
    (b'{"rows": {}}', 422, "1 to 1,000 rows"),
    (b'{"rows": "features"}', 422, "1 to 1,000 rows"),
    (b'{"rows": [' + b"{}," * 1000 + b"{}]}", 422, "1 to 1,000 rows"),
    (b'{"features": {}}', 422, "object with `rows`"),
    (b'{"rows": [5]}', 422, "1 of 1 row is wrong"),
    (b'{"rows": [{"features": {}, "threshold": 1}]}', 422, "1 of 1 row is wrong"),
    (b'{"rows": ["' + b"x" * settings.BATCH_BODY_LIMIT + b'"]}', 413, "at most"),
]


def test_what_is_no_batch_says_what_would_be(champion, client):
    for body, status, words in NO_BATCHES:
        refused = post(client, body)
        assert (refused.status_code, words in refused.json()["detail"]) == (status, True), refused.json()
    assert nothing_is_on_record()


def test_a_batch_larger_than_any_other_body_is_taken(champion, client):
    sent = rows(200)
    padded = orjson.dumps({"rows": sent}) + b" " * settings.DATA_UPLOAD_MAX_MEMORY_SIZE
    assert len(post(client, padded).json()["decisions"]) == 200


def test_sent_again_whole_or_in_other_company_it_is_the_same_decisions(champion, client):
    first = post(client, {"rows": rows(6, "r")})
    assert post(client, {"rows": rows(6, "r")}).content == first.content
    more = post(client, {"rows": list(reversed(rows(8, "r")))}).json()["decisions"]
    assert list(reversed(more))[:6] == first.json()["decisions"]
    assert post(client, rows(1, "r")[0], SCORE).json() == first.json()["decisions"][0]
    assert (Decision.objects.count(), RequestKey.objects.count()) == (8, 8)


def test_a_request_id_of_other_features_or_one_that_comes_twice_refuses_the_batch(champion, client):
    post(client, {"rows": rows(2, "r")})
    other = rows(3, "s")
    other[1]["request_id"] = "r0"
    refused = post(client, {"rows": other})
    assert (refused.status_code, refused.json()["reasons"][0]["pointer"]) == (422, "#/rows/1/request_id")
    assert "used for other features" in refused.json()["reasons"][0]["detail"]
    other[1]["request_id"] = "s0"
    refused = post(client, {"rows": other})
    assert (refused.status_code, refused.json()["reasons"][0]["pointer"]) == (422, "#/rows/1")
    assert "comes twice" in refused.json()["reasons"][0]["detail"]
    assert (Decision.objects.count(), RequestKey.objects.count()) == (2, 2)


def test_batches_that_share_rows_at_the_same_moment_wait_for_each_other_and_agree(committed, issue_token):
    builders.a_champion(committed)
    token = issue_token(committed.engine, "scoring.score")
    answers = []

    def ask(turn):
        client = APIClient(HTTP_AUTHORIZATION=f"Bearer {token}")
        sent = rows(12, "r", turn)[:: 1 if turn % 2 else -1]
        found = post(client, {"rows": sent}).json()["decisions"]
        answers.append(dict(zip([row["request_id"] for row in sent], found, strict=True)))
        connections["default"].close()

    threads = [threading.Thread(target=ask, args=[turn]) for turn in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == 6
    for request_id in {name for answer in answers for name in answer}:
        assert len({answer[request_id]["decision_id"] for answer in answers if request_id in answer}) == 1
    assert Decision.objects.count() == RequestKey.objects.count() == 17
    builders.sequence()
    assert list(holdings.findings()) == []


def test_where_the_model_fails_each_row_gets_the_fallback(people, client):
    builders.a_policy(people, checks={"drift": {"drifted_share": {"fail_above": 1}}})
    builders.a_champion(people, builders.a_checked_version(people.ada, files=builders.broken_files()))
    answered = post(client, {"rows": rows(3)}).json()["decisions"]
    assert all(one["fallback"] for one in answered)
    assert Decision.objects.filter(score=None).count() == 3


def test_a_row_that_the_model_does_not_take_costs_no_other_row_its_score(champion):
    served = serving.champion("fraud", now=builders.now())
    matrix = np.nan_to_num(served.schema.matrix([builders.features(place) for place in range(100)]))
    model = LogisticRegression().fit(matrix, np.arange(100) % 2)
    loose = Schema(tuple(replace(column, nullable=True) for column in served.schema.columns))
    linear = runtimes.load("sklearn", {"m": skops.io.dumps(model)}, "m", len(loose.columns))
    whole = [row for row in map(builders.features, range(30)) if None not in row.values()][:3]
    asked = [asking.read(loose, features=row, now=builders.now()) for row in [*whole, {**whole[0], "amount": None}]]
    answers = answering.answer_all(replace(served, runtime=linear, schema=loose), asked)
    assert [answer["score"] is None for answer in answers] == [False, False, False, True]
    assert "gave no valid score" in answers[3]["fallback"]
    assert answers[1] == answering.answer(replace(served, runtime=linear, schema=loose), asked[1])
