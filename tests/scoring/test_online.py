"""Features that a request does not carry come from the online store, go on record as used, and may be missing."""

import json
import socket
import subprocess
import time
from datetime import timedelta
from io import StringIO
from pathlib import Path

import orjson
import pandas as pd
import pytest
import redis
import yaml
from django.core.management import CommandError, call_command
from rest_framework.test import APIClient

from governance import training
from governance.platform import valkey
from registry.models import LedgerEntry
from registry.refusals import Invalid
from registry.schema import Column, Schema
from scoring import decisions, feast, online, replaying
from scoring.models import Decision
from tests import builders

DAY = 86400.0


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """A store of its own, behind a socket."""
    path = tmp_path_factory.mktemp("store") / "s"
    process = subprocess.Popen(
        [str(valkey.binary()), "--port", "0", "--unixsocket", str(path), "--save", ""], stdout=subprocess.DEVNULL
    )
    client = redis.Redis(unix_socket_path=str(path))
    end = time.monotonic() + 60
    while time.monotonic() < end:
        try:
            client.ping()
            break
        except redis.ConnectionError:
            time.sleep(0.02)
    yield client
    process.kill()
    process.wait()


@pytest.fixture
def reading(store, settings):
    """This process reads from that store."""
    store.flushall()
    path = store.connection_pool.connection_kwargs["path"]
    settings.FEATURES_URL, settings.FEATURES_TIMEOUT_MS, settings.FEATURES_FEAST = f"unix://{path}", 5000, ""
    online.forget()
    yield store
    online.forget()


def keep(store, entity, age=0.0, **values):
    moment = int((builders.now().timestamp() - age) * 1000)
    told = {name: b"%d:%s" % (moment, orjson.dumps(value)) for name, value in values.items()}
    store.hset(online.Own().key(entity), mapping=told)


def schema(otherwise="refuse"):
    """The usual features, of which `amount` may come from the store as `mean_amount`, a day old at the most."""
    changed = {"amount": {"online": "mean_amount", "max_age": DAY, "otherwise": otherwise, "nullable": True}}
    return Schema(tuple(Column(**{**vars(c), **changed.get(c.name, {})}) for c in builders.trained().schema.columns))


def files(otherwise):
    """The files of the usual model, whose author says where features come from."""
    made = dict(builders.model_files())
    metadata = training.metadata(schema(otherwise))
    made["MLmodel"] = yaml.safe_dump({**yaml.safe_load(made["MLmodel"]), "metadata": metadata}).encode()
    return made


@pytest.fixture
def champion(people, request):
    otherwise = getattr(request, "param", "refuse")
    return builders.a_champion(people, builders.a_checked_version(people.ada, files=files(otherwise)))


def ask(people, entity="c-17", **sent):
    given = {name: value for name, value in builders.features().items() if name != "amount"}
    return decisions.decide(
        name="fraud", features={**given, **sent}, by=people.engine, now=builders.now(), entity=entity
    )


def test_a_feature_that_is_not_sent_is_read_and_kept_with_its_moment(champion, people, reading):
    keep(reading, "c-17", age=60, mean_amount=12.5)
    decision = ask(people)
    kept = decisions.inputs_of(decision)
    assert kept["features"]["amount"] == 12.5
    assert kept["online"]["amount"]["at"] < builders.now().isoformat()
    assert decision.vector[list(kept_names(champion)).index("amount")] == 12.5
    assert replaying.replay([decision.pk], lambda *_: None).differing == 0
    sent = ask(people, amount=99.0)
    assert decisions.inputs_of(sent)["features"]["amount"] == 99.0
    assert "online" not in decisions.inputs_of(sent)


def kept_names(version):
    return [column["name"] for column in version.schema]


def test_the_same_request_is_the_same_decision_though_the_store_has_moved_on(champion, people, reading):
    keep(reading, "c-17", mean_amount=12.5)
    first = decided(people)
    keep(reading, "c-17", mean_amount=700.0)
    assert decided(people).pk == first.pk
    assert Decision.objects.count() == 1


def decided(people):
    given = {name: value for name, value in builders.features().items() if name != "amount"}
    told = {"request_id": "r-1", "entity": "c-17"}
    return decisions.decide(name="fraud", features=given, by=people.engine, now=builders.now(), **told)


@pytest.mark.urls("scoring.serving_urls")
@pytest.mark.parametrize(
    ("age", "value", "words"), [(2 * DAY, 12.5, "stale"), (0, "much", "unfit"), (None, None, "missing")]
)
def test_what_is_missing_stale_or_unfit_is_refused(champion, people, reading, issue_token, age, value, words):
    if age is not None:
        keep(reading, "c-17", age=age, mean_amount=value)
    api = APIClient(HTTP_AUTHORIZATION=f"Bearer {issue_token(people.engine, 'scoring.score')}")
    given = {name: value for name, value in builders.features().items() if name != "amount"}
    answer = api.post("/api/v1/models/fraud/score", {"entity": "c-17", "features": given}, format="json")
    assert (answer.status_code, answer.json()["reasons"][0]["pointer"]) == (422, "#/features/amount")
    assert words in answer.json()["detail"]
    assert not Decision.objects.exists()
    assert not LedgerEntry.objects.filter(event="decision.answered").exists()


@pytest.mark.parametrize("champion", ["null"], indirect=True)
def test_or_it_is_null_and_the_record_says_why(champion, people, reading):
    keep(reading, "c-17", age=2 * DAY, mean_amount=12.5)
    decision = ask(people)
    kept = decisions.inputs_of(decision)
    assert kept["features"]["amount"] is None
    assert kept["online"]["amount"]["lacking"] == "stale"
    assert decision.score is not None


@pytest.mark.parametrize("champion", ["fallback"], indirect=True)
def test_or_the_fallback_answers_also_when_the_store_is_gone(champion, people, reading, settings, client):
    missing = ask(people)
    assert missing.is_fallback
    assert "no usable amount of this entity: missing" in decisions.answer_of(missing)["fallback"]
    settings.FEATURES_URL, settings.FEATURES_TIMEOUT_MS = "unix:///nowhere/at-all", 10
    gone = ask(people)
    assert "unreachable" in decisions.answer_of(gone)["fallback"]
    assert replaying.replay([missing.pk, gone.pk], lambda *_: None).differing == 0
    client.force_login(people.grace)
    assert "from the online store: unreachable" in client.get(f"/decisions/{gone.id}").content.decode()


def test_a_batch_asks_the_store_once(champion, people, reading):
    for place in range(3):
        keep(reading, f"c-{place}", mean_amount=float(place))
    given = {name: value for name, value in builders.features().items() if name != "amount"}
    rows = [{"features": given, "entity": f"c-{place}"} for place in range(3)]
    online.client().ping()  # the greeting is over
    before = reading.info("stats")["total_reads_processed"]
    made = decisions.decide_many(name="fraud", rows=rows, by=people.engine, now=builders.now())
    assert reading.info("stats")["total_reads_processed"] - before == 2  # all of the batch, and this question
    assert [decisions.inputs_of(decision)["features"]["amount"] for decision in made] == [0.0, 1.0, 2.0]
    with pytest.raises(Invalid) as refused:
        lacking = [*rows, {"features": given, "entity": "c-9"}]
        decisions.decide_many(name="fraud", rows=lacking, by=people.engine, now=builders.now())
    assert [reason["pointer"] for reason in refused.value.reasons] == ["#/rows/3/features/amount"]
    assert Decision.objects.count() == 3


@pytest.mark.urls("scoring.serving_urls")
def test_a_store_that_hangs_costs_milliseconds_and_then_nothing(champion, people, settings, issue_token, tmp_path):
    settings.FEATURES_URL, settings.FEATURES_TIMEOUT_MS = f"unix://{tmp_path}/s", 20
    online.forget()
    api = APIClient(HTTP_AUTHORIZATION=f"Bearer {issue_token(people.engine, 'scoring.score')}")
    given = {name: value for name, value in builders.features().items() if name != "amount"}
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(f"{tmp_path}/s")
        silent.listen(50)
        told = {"entity": "c-17", "features": given}
        answers = [api.post("/api/v1/models/fraud/score", told, format="json") for _ in range(online.FAILURES)]
        assert {(a.status_code, "does not answer" in a.json()["detail"]) for a in answers} == {(503, True)}
        assert answers[0]["Retry-After"]
        began = time.monotonic()
        assert online.ask(["mean_amount"], "c-17") is None  # nobody is asked
        assert time.monotonic() - began < 0.02
        online._breaker.until = 0
        began = time.monotonic()
        assert online.ask(["mean_amount"], "c-17") is None
        assert time.monotonic() - began > 0.015
    online.forget()
    assert not Decision.objects.exists()


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_a_file_is_loaded_and_an_older_event_replaces_nothing(reading, tmp_path, ending):
    path = tmp_path / f"features.{ending}"
    moments = [builders.now(), builders.now() - timedelta(days=1), builders.now() - timedelta(hours=1)]
    frame = pd.DataFrame(
        {
            "customer": ["c-1", "c-1", "c-2"],
            "at": moments,
            "mean_amount": [1.5, 9.5, None],
            "country": ["DE", "FR", "IT"],
        }
    )
    frame.to_csv(path, index=False) if ending == "csv" else frame.to_parquet(path)
    said = StringIO()
    for _ in range(2):
        call_command("load_features", path, entity="customer", time="at", stdout=said, stderr=StringIO())
    assert "3 rows, 4 values written" in said.getvalue()
    first, second = (online.ask(["mean_amount", "country"], entity) for entity in ("c-1", "c-2"))
    assert [value for value, _ in first] == [1.5, "DE"]
    assert first[0][1] == pytest.approx(moments[0].timestamp(), abs=0.002)
    assert [value for value, _ in second] == [None, "IT"]


def test_a_file_without_the_columns_loads_nothing(reading, tmp_path):
    path = tmp_path / "features.csv"
    path.write_text("entity,mean_amount\nc-1,1\n")
    with pytest.raises(CommandError, match="no column event_time"):
        call_command("load_features", path, stdout=StringIO(), stderr=StringIO())
    assert reading.dbsize() == 0


@pytest.mark.parametrize(
    "told",
    [
        {"online": "x"},
        {"online": "x", "max_age": 5},
        {"online": "x", "max_age": -1, "otherwise": "refuse"},
        {"max_age": 5},
    ],
)
def test_a_feature_of_the_store_has_an_age_and_a_policy(told):
    with pytest.raises(Invalid, match="online store has"):
        Column("a", "number", **told)


def test_null_is_for_features_that_may_be_missing():
    with pytest.raises(Invalid, match="must be nullable"):
        Column("a", "number", online="x", max_age=5, otherwise="null")
    plain = Schema((Column("a", "number"),))
    assert plain.dump() == [{"name": "a", "kind": "number", "nullable": False, "categories": []}]


# What Feast itself wrote to Redis (the version stands in the file): write_to_online_store of two views.
FEAST = json.loads((Path(__file__).parent / "feast_redis.json").read_text())


@pytest.mark.parametrize("told", FEAST["keys"], ids=lambda told: told["entity"])
def test_keys_are_those_of_feast(told):
    layout = feast.Layout(told["project"], told["join_key"], told["integers"])
    assert layout.key(told["entity"]).hex() == told["key"]


@pytest.mark.parametrize("entity", ["c-17", "", str(1 << 63)])
def test_an_entity_that_is_no_number_is_not_taken_for_another(entity):
    with pytest.raises(Invalid, match="whole number"):
        feast.Layout("p", "k", integers=True).key(entity)


def test_fields_and_values_are_those_of_feast():
    assert {name: feast.Layout("p", "k").fields([name])[0].hex() for name in FEAST["fields"]} == FEAST["fields"]
    for told in FEAST["values"]:
        assert feast.value_of(bytes.fromhex(told["bytes"])) == told["value"], told


def test_the_hash_of_an_entity_as_feast_wrote_it_is_read(reading, settings):
    settings.FEATURES_FEAST = "fraud:customer_id"
    for told in FEAST["hashes"]:
        fields = {bytes.fromhex(name): bytes.fromhex(value) for name, value in told["fields"].items()}
        reading.hset(bytes.fromhex(told["key"]), mapping=fields)
        found = online.ask([*told["features"], "stats:nothing"], told["entity"])
        assert [item and item[0] for item in found] == [*told["features"].values(), None]
        assert found[0][1] == told["event"]
