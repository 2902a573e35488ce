"""Data sets over HTTP: sent by programs, looked at by people, and what restricted columns hold seen by few."""

import json

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from rest_framework.test import APIClient

from registry import ledger, retention
from registry.models import Dataset, DatasetRetention, LedgerEntry
from registry.refusals import Conflict, Invalid
from tests import builders
from tests.registry.test_datasets import COLUMNS, N, register, written

ADDRESS = "person1@example.org"


@pytest.fixture
def program(issue_token):
    """Return a function that gives a program of somebody's, with these scopes."""

    def made(owner, *scopes) -> APIClient:
        return APIClient(HTTP_AUTHORIZATION=f"Bearer {issue_token(owner, 'registry.read', *scopes)}")

    return made


@pytest.fixture
def browse(settings):
    """Return a function that opens a browser in which somebody is signed in."""
    plain = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
    settings.STORAGES = {**settings.STORAGES, "staticfiles": plain}

    def browser(person) -> Client:
        client = Client()
        client.force_login(person)
        return client

    return browser


def sent(data, **more):
    return {"file": SimpleUploadedFile("rows", data), "name": "payments", **more}


def test_a_program_sends_a_file_and_reads_what_is_known_of_it(people, program):
    ada = program(people.ada, "registry.register_version")
    answer = ada.post("/api/v1/datasets", sent(written("csv"), columns=json.dumps(COLUMNS)))
    assert answer.status_code == 201, answer.json()
    digest = answer.json()["digest"]
    told = ada.get(f"/api/v1/datasets/{digest}").json()
    assert (told["rows"], told["format"], len(told["original"])) == (N, "csv", 64)
    found = ada.get(f"/api/v1/datasets/{digest}/statistics").json()
    assert found["digest"] == ledger.facts_of(LedgerEntry.objects.get(event="dataset.registered"))["statistics"]
    assert sum(next(c for c in found["columns"] if c["name"] == "amount")["histogram"]["counts"]) == N
    assert [row["digest"] for row in ada.get("/api/v1/datasets?name=PAY").json()["datasets"]] == [digest]
    assert ada.get("/api/v1/datasets?name=other").json()["datasets"] == []


def test_roles_are_guessed_for_confirmation_and_nothing_is_kept(people, program):
    ada = program(people.ada, "registry.register_version")
    refused = ada.post("/api/v1/datasets", sent(written("csv")))
    assert (refused.status_code, "/api/v1/datasets/guess" in refused.json()["detail"]) == (422, True)
    answer = ada.post("/api/v1/datasets/guess", sent(written("csv"))).json()
    roles = {column["name"]: column["role"] for column in answer["columns"]}
    assert (answer["rows"], roles) == (
        N,
        {
            "customer": "entity",
            "amount": "feature",
            "visits": "feature",
            "country": "feature",
            "age_band": "protected",
            "email": "restricted",
            "at": "time",
            "fraud": "label",
        },
    )
    assert not Dataset.objects.exists()
    kept = ada.post("/api/v1/datasets", sent(written("csv"), columns=json.dumps(answer["columns"])))
    assert kept.status_code == 201


def test_masked_values_are_given_to_programs_and_people_who_may_see_them(people, program, browse):
    digest = register(people.ada, written("parquet")).digest
    preview, page = f"/api/v1/datasets/{digest}/preview", reverse("dataset", args=[digest])
    scoped = program(people.clara, "registry.see_restricted")
    for who, sees in ((program(people.ada), False), (program(people.clara), False), (scoped, True)):
        answer = who.get(preview)
        assert (ADDRESS in answer.content.decode(), "email" in answer.json()["masked"]) == (sees, not sees)
    for who, sees in ((people.ada, False), (people.clara, True)):
        assert ADDRESS not in browse(who).get(page).content.decode()
        assert (ADDRESS in browse(who).get(f"{page}?unmasked=1").content.decode()) is sees


@pytest.mark.parametrize("path", ["", "/guess"])
def test_who_may_not_register_sends_nothing(people, program, path):
    answer = program(people.clara).post(f"/api/v1/datasets{path}", sent(written("csv"), columns=json.dumps(COLUMNS)))
    assert answer.status_code == 403
    assert not Dataset.objects.exists()


def test_the_page_tells_what_columns_hold_and_who_uses_them(people, browse):
    version = builders.a_version(people.ada)
    text = browse(people.grace).get(reverse("dataset", args=[version.holdout.digest])).content.decode()
    assert text.count('<svg class="spread"') >= len(version.schema)
    assert reverse("version", args=["fraud", 1]) in text
    assert "holdout" in text


def test_the_list_is_filtered_and_asks_as_often_for_few_as_for_many(people, browse):
    version = builders.a_version(people.ada)
    grace = browse(people.grace)

    def shown(**asked):
        with CaptureQueriesContext(connection) as asking:
            text = grace.get(reverse("datasets"), asked).content.decode()
        return {row.name for row in Dataset.objects.all() if row.digest in text}, len(asking)

    few = shown()
    assert few[0] == {"training", "holdout", "golden"}
    assert shown(role="golden")[0] == {"golden"}
    assert shown(name="HOLD")[0] == {"holdout"}
    retention.assign(dataset=version.golden, name="bsa-5y", reason="", by=people.ada, now=builders.now())
    assert shown(retention="bsa-5y")[0] == {"golden"}
    retention.assign(dataset=version.golden, name="ai-act-10y", reason="", by=people.ada, now=builders.now())
    assert shown(retention="bsa-5y")[0] == set()
    register(people.ada, written("parquet"))
    register(people.ada, written("csv"))
    assert shown()[1] == few[1]


def test_a_retention_class_is_given_with_its_reason_and_keeps_its_history(people, browse, program):
    dataset = register(people.ada, written("parquet"))
    address = reverse("dataset-retention", args=[dataset.digest])
    answer = browse(people.ada).post(address, {"class": "operational-1y", "reason": "Ms Doe asked"}, follow=True)
    assert "Kept as operational-1y from now on." in answer.content.decode()
    api = f"/api/v1/datasets/{dataset.digest}/retention"
    ada = program(people.ada, "registry.register_version")
    assert ada.post(api, {"class": "model-evidence-7y"}, format="json").status_code == 201
    assert [row["class"] for row in ada.get(api).json()["history"]] == ["model-evidence-7y", "operational-1y"]
    assert ada.get(f"/api/v1/datasets/{dataset.digest}").json()["retention"] == "model-evidence-7y"
    assert retention.until(dataset, retention.of(dataset)).year == dataset.registered_at.year + 7
    entries = LedgerEntry.objects.filter(event="retention.assigned", subject=f"dataset:{dataset.digest}")
    assert [ledger.facts_of(entry)["class"] for entry in entries.order_by("id")] == [
        "operational-1y",
        "model-evidence-7y",
    ]
    assert all(b"Doe" not in bytes(entry.bytes) for entry in entries)


def test_a_class_that_no_policy_knows_or_that_it_has_already_is_refused(people, browse):
    dataset = register(people.ada, written("parquet"))
    with pytest.raises(Invalid, match="no retention class 'for-ever'. The policies in force know: .*bsa-5y"):
        retention.assign(dataset=dataset, name="for-ever", reason="", by=people.ada, now=builders.now())
    retention.assign(dataset=dataset, name="bsa-5y", reason="", by=people.ada, now=builders.now())
    with pytest.raises(Conflict, match="already"):
        retention.assign(dataset=dataset, name="bsa-5y", reason="", by=people.ada, now=builders.now())
    address = reverse("dataset-retention", args=[dataset.digest])
    assert browse(people.grace).post(address, {"class": "ai-act-10y"}).status_code == 403
    refused = browse(people.ada).post(address, {"class": "for-ever"})
    assert (refused.status_code, "no retention class" in refused.content.decode()) == (422, True)
    assert DatasetRetention.objects.get().name == "bsa-5y"


def test_a_damaged_file_shows_no_rows_and_says_so(people, browse, program):
    dataset = register(people.ada, written("parquet"))
    with builders.damaged(dataset):
        text = browse(people.grace).get(reverse("dataset", args=[dataset.digest])).content.decode()
        answer = program(people.ada).get(f"/api/v1/datasets/{dataset.digest}/preview")
    assert "changed after they were registered" in text
    assert 'title="masked"' not in text
    assert answer.status_code >= 400
    assert "rows" not in answer.json()
