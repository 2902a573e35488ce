"""A token that asks too much is told how much, by whom and when again; others do not feel it."""

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as some

from scoring import rates
from scoring.models import Decision
from scoring.rates import Meter, Quota
from tests import answering, builders
from tests.scoring.protocols.conftest import token_of

INFER = "/v2/models/fraud/infer"


@pytest.mark.parametrize("text", ["", "5", "5/0", "x/1", "-5/1", "1.5/1"])
def test_a_rate_that_is_none_is_refused(text):
    with pytest.raises(ValueError, match="number of requests and of seconds"):
        Quota.of(text, 1)


def test_each_process_has_its_share_and_at_least_one_request():
    assert Quota.of("10000/1", 2) == Quota(5000, 1)
    assert Quota.of("1/60", 4) == Quota(1, 60)


def test_the_whole_quota_at_once_and_then_one_each_time_a_part_of_it_is_back():
    meter = Meter(Quota(3, 60))
    assert [meter.take("ada", 0).remaining for _ in range(3)] == [2, 1, 0]
    late = meter.take("ada", 0)
    assert (late.allowed, late.remaining, late.wait) == (False, 0, pytest.approx(20))
    assert meter.take("grace", 0).allowed
    assert not meter.take("ada", 19.9).allowed
    assert meter.take("ada", 20).allowed
    assert not meter.take("ada", 20).allowed
    assert meter.take("ada", 200).remaining == 2


def test_only_so_many_tokens_are_kept_in_mind(monkeypatch):
    monkeypatch.setattr(rates, "MOST", 3)
    meter = Meter(Quota(1, 60))
    for token in range(10):
        meter.take(token, 0)
    assert list(meter._full) == [7, 8, 9]


@given(some.lists(some.floats(0, 3), max_size=60), some.integers(1, 9), some.integers(1, 5))
def test_in_no_window_is_more_than_twice_the_quota_allowed_nor_a_quiet_token_refused(pauses, requests, seconds):
    meter, now, allowed = Meter(Quota(requests, seconds)), 0.0, []
    for pause in pauses:
        now += pause
        left = meter.take("ada", now)
        assert 0 <= left.remaining <= requests
        if left.allowed:
            allowed.append(now)
        else:
            assert meter.take("ada", now + left.wait + 1e-6).allowed
            now += left.wait + 1e-6
            allowed.append(now)
    for start in allowed:
        assert sum(start <= moment < start + seconds for moment in allowed) <= 2 * requests


def test_over_http_every_answer_says_what_is_left_and_too_many_wait(committed):
    builders.a_champion(committed)
    token = token_of(committed.engine, "scoring.score")
    with answering.scoring_process(token, SCORING_RATE="3/600") as server:
        body = {"features": builders.features()}
        answers = [server.client.post("/api/v1/models/fraud/score", json=body) for _ in range(4)]
        assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
        assert {answer.headers["RateLimit-Policy"] for answer in answers} == {'"token";q=3;w=600'}
        assert answers[0].headers["RateLimit"] == '"token";r=2;t=200'
        late = answers[3]
        assert late.headers["Content-Type"] == "application/problem+json"
        assert "share of the limit" in late.json()["detail"]
        assert 100 < int(late.headers["Retry-After"]) <= 200
        oip = server.client.post(INFER, json={"inputs": []})
        assert (oip.status_code, list(oip.json()), "Retry-After" in oip.headers) == (429, ["error"], True)
        mlflow = server.client.post("/models/fraud/invocations", json={})
        assert (mlflow.status_code, mlflow.json()["error_code"]) == (429, "REQUEST_LIMIT_EXCEEDED")
        other = {"Authorization": f"Bearer {token_of(committed.engine, 'scoring.score')}"}
        with httpx.Client(base_url=server.url, headers=other, trust_env=False) as another:
            assert another.post("/api/v1/models/fraud/score", json=body).status_code == 200
        assert server.client.get("/v2/health/ready").status_code == 200
        assert Decision.objects.count() == 4
