"""What the watcher brings, so that a request asks the database for nothing but its insert."""

import threading
import time

import orjson
import pytest
from django.db import connection, connections
from django.test.utils import CaptureQueriesContext
from rest_framework.test import APIClient

from registry import credentials, people
from registry.api import access
from registry.refusals import Unavailable
from scoring import admission, contact, serving, vigil
from scoring.models import Decision
from tests import builders

pytestmark = pytest.mark.urls("scoring.serving_urls")
SCORE = "/api/v1/models/fraud/score"


@pytest.fixture
def watched(committed, settings):
    """A scoring process with a champion and its watcher."""
    settings.PROCESS = "scoring"
    builders.sequence()
    version = builders.a_champion(committed)
    builders.forget_serving()
    vigil.begin()
    until("ready", lambda: vigil.unready() == [])
    yield version
    vigil.end()
    builders.forget_serving()


def until(what, done, seconds=20.0):
    begun = time.monotonic()
    while not done():
        assert time.monotonic() - begun < seconds, what
        time.sleep(0.01)
    return time.monotonic() - begun


def post(secret, place=0, **body):
    client = APIClient(HTTP_AUTHORIZATION=f"Bearer {secret}")
    data = orjson.dumps({"features": builders.features(place), **body})
    return client.post(SCORE, data=data, content_type="application/json")


def token(people_, **given):
    given = {"owner": people_.engine, "name": "t", "scopes": ["scoring.score"], "days": 1} | given
    return people.issue_token(**given, by=people_.olivia, now=builders.now())


def held(secret):
    return credentials.hashlib.sha256(secret.encode()).digest() in credentials._held


def test_a_request_asks_the_database_for_nothing_but_its_insert(watched, committed):
    _, secret = token(committed)
    until("the token is held", lambda: held(secret))
    post(secret)
    with CaptureQueriesContext(connection) as asked:
        assert post(secret, request_id="r").status_code == 200
    assert [query["sql"] for query in asked if query["sql"] not in ("BEGIN", "COMMIT")] == []
    assert Decision.objects.count() == 2


def test_a_token_is_checked_in_microseconds_and_a_revoked_one_ends_within_two_seconds(watched, committed):
    issued, secret = token(committed)
    assert post(secret).status_code == 200  # at once: what is not held yet is looked up
    until("the token is held", lambda: held(secret))
    begun = time.perf_counter()
    for _ in range(1000):
        access._look_up(secret)
    assert (time.perf_counter() - begun) / 1000 < 100e-6
    people.revoke_token(token=issued, by=committed.olivia, now=builders.now())
    assert until("it is refused", lambda: post(secret).status_code == 401) < 2
    assert "revoked" in post(secret).json()["detail"]


def test_an_owner_who_lost_the_role_is_refused_within_two_seconds(watched, committed):
    _, secret = token(committed)
    until("the token is held", lambda: held(secret))
    assert post(secret).status_code == 200
    committed.engine.groups.clear()
    assert until("it is refused", lambda: post(secret).status_code == 403) < 2


def test_guessed_secrets_cost_the_database_no_more_than_a_few_questions(watched, committed):
    _, secret = token(committed)
    until("the token is held", lambda: held(secret))
    with CaptureQueriesContext(connection) as asked:
        answers = [post(f"csn_{number}").status_code for number in range(200)]
        assert post(secret).status_code == 200
    assert set(answers) == {401, 503}
    asked_for = [query for query in asked if "servicetoken" in query["sql"]]
    assert len(asked_for) <= credentials.LOOKUPS * 10  # a loaded machine may take some seconds
    assert len(credentials._looked_up) <= credentials.MOST_REMEMBERED


def test_a_new_deployment_is_in_force_soon_and_no_request_waits_for_it(watched, committed):
    second = builders.an_approved_version(
        committed.ada, committed.grace, committed.alan, builders.a_checked_version(committed.ada, description="another")
    )
    slowest, ended = [0.0], threading.Event()

    def ask():
        while not ended.is_set():
            begun = time.monotonic()
            serving.champion("fraud", now=builders.now())
            slowest[0] = max(slowest[0], time.monotonic() - begun)
            time.sleep(0.001)
        connections.close_all()

    asking = threading.Thread(target=ask)
    asking.start()
    builders.promotion.promote(version=second, reason="Go.", by=committed.olivia, now=builders.now())
    builders.promotion.execute_waiting(builders.now())
    took = until("in force", lambda: serving.champion("fraud", now=builders.now()).package.version == second)
    ended.set()
    asking.join()
    assert took < 5  # 1 s where nothing else runs; half a second is the pause between two looks
    assert slowest[0] < 1


def test_a_process_is_ready_when_every_champion_is_loaded_and_warm(watched, committed, client):
    assert client.get("/ready").status_code == 200
    vigil.end()
    builders.forget_serving()
    with connection.cursor() as cursor:  # the watcher waits for this before it knows what is to be served
        cursor.execute("BEGIN")
        cursor.execute("LOCK TABLE scoring_deployment IN ACCESS EXCLUSIVE MODE")
        vigil.begin()
        starting = client.get("/ready")
        cursor.execute("ROLLBACK")
    assert (starting.status_code, starting.json()["status"]) == (503, "starting")
    assert starting.json()["missing"]
    until("ready", lambda: client.get("/ready").status_code == 200)
    assert client.get("/health").json()["seconds_since_contact"] < 30


def test_nothing_is_decided_when_the_watcher_has_not_found_out_for_long_how_the_record_stands(watched, monkeypatch):
    admission.demand()
    monkeypatch.setattr(admission, "_found", (time.monotonic() - admission.OLDEST - 1, None))
    monkeypatch.setattr(admission, "ask", lambda patience=0: None)
    with pytest.raises(Unavailable, match="could not be found out"):
        admission.demand()
    contact.lost()
    admission.demand()  # the database is gone: policies say how long that may last
