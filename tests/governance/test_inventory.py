"""The inventory of models: who keeps it, what it refuses, what an examiner reads of it."""

import csv
import io
from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from governance import inventory as examined
from registry import inventory, regulations, versions
from registry.models import InventoryRecord, LedgerEntry
from registry.refusals import Invalid, NotAllowed
from tests import builders


def whole(**changes):
    return {
        "developer": "Ada Lovelace",
        "validator": "Grace Hopper",
        "business_purpose": "Stop card fraud before a payment leaves.",
        "is_model": True,
        "is_model_reason": "It is learned from data.",
        "origin": "own",
        "dependencies": ["device feed"],
        "jurisdictions": ["EU", "US-NY"],
        "ai_act_class": "excluded-fraud",
        "ai_act_reason": "It detects fraud and decides no credit.",
        "next_review": (timezone.now() + timedelta(days=90)).date(),
        **changes,
    }


def record(model, by, **facts):
    return inventory.record(model=model, by=by, now=builders.now(), **facts)


def table(client) -> list[dict[str, str]]:
    answer = client.get("/api/v1/inventory.csv")
    assert answer.status_code == 200
    return list(csv.DictReader(io.StringIO(b"".join(answer.streaming_content).decode())))


def test_a_new_record_takes_the_place_of_the_one_before_which_stays_and_both_are_entered(ada):
    model = builders.a_model(ada)
    assert inventory.missing(inventory.newest([model]).get(model.pk)) == [
        "developer",
        "validator",
        "business purpose",
        "model or not",
        "vendor or own",
        "jurisdictions",
        "AI Act classification",
        "next review",
    ]
    first = record(model, ada, developer="Ada")
    second = record(model, ada, **whole())
    assert inventory.newest([model])[model.pk] == second
    assert inventory.history(model) == [second, first]
    assert inventory.missing(second) == []
    assert second.regulations_as_of == regulations.AS_OF
    assert LedgerEntry.objects.filter(event="inventory.recorded", subject=f"model:{model.pk}").count() == 2


def test_the_owner_and_who_keeps_the_inventory_record_it_and_nobody_else(people):
    model = builders.a_model(people.ada)
    record(model, people.clara, developer="Ada")
    for person in (people.grace, people.olivia, people.trainer):
        with pytest.raises(NotAllowed, match="the owner of the model"):
            record(model, person, developer="Mallory")
    assert InventoryRecord.objects.count() == 1


@pytest.mark.parametrize(
    ("changes", "pointer", "why"),
    [
        ({"validator": "ada lovelace "}, "/validator", "somebody else"),
        ({"is_model_reason": " "}, "/is_model_reason", "Say why"),
        ({"ai_act_reason": ""}, "/ai_act_reason", "Say why"),
        ({"origin": "vendor"}, "/vendor", "which vendor"),
        ({"ai_act_class": "harmless"}, "/ai_act_class", "one of"),
        ({"jurisdictions": ["Europe"]}, "/jurisdictions", "ISO 3166"),
        ({"jurisdictions": "EU"}, "/jurisdictions", "list"),
        ({"dependencies": ["\0"]}, "/dependencies", "printable"),
        ({"next_review": "soon"}, "/next_review", "a day"),
        ({"next_review": (timezone.now() - timedelta(days=2)).date()}, "/next_review", "lies ahead"),
        ({"is_model": "yes"}, "/is_model", "true, false"),
        ({"colour": "red"}, "/colour", "not a field"),
        ({"developer": "x" * 121}, "/developer", "120"),
    ],
)
def test_what_cannot_stand_is_refused_by_its_field_and_nothing_is_recorded(ada, changes, pointer, why):
    model = builders.a_model(ada)
    with pytest.raises(Invalid) as refused:
        record(model, ada, **whole(**changes))
    assert [reason["pointer"] for reason in refused.value.reasons] == [pointer]
    assert why in refused.value.reasons[0]["detail"]
    assert not InventoryRecord.objects.exists()


def test_an_examiner_reads_one_line_per_model_with_what_is_computed_recorded_and_missing(people, browse):
    version = builders.a_champion(people)
    versions.register_model(name="=cmd|calc", by=people.ada, now=builders.now(), exposure="low")
    record(version.model, people.ada, **whole(developer='=HYPERLINK("http://evil")'))
    fraud, other = sorted(table(browse(people.clara)), key=lambda row: row["Model name"], reverse=True)
    assert fraud["Model name"] == "fraud"
    assert fraud["In production"] == "yes"
    assert fraud["Version described"] == "1"
    assert fraud["Approved by"] == "Grace (risk-analyst); Alan (risk-lead)"
    assert fraud["Developer"] == '\'=HYPERLINK("http://evil")'
    assert fraud["Dependencies (upstream models and feeds)"] == "device feed"
    assert fraud["AI Act classification (the owner's)"] == regulations.AI_ACT_CLASSES["excluded-fraud"]
    assert version.training.digest in fraud["Data sources"]
    assert fraud["Not evidenced"] == "approved uses; limits"
    assert fraud["Last signed review (UTC)"] != "not evidenced"
    assert other["Model name"] == "'=cmd|calc"
    assert other["Developer"] == "not evidenced"
    assert other["Risk tier (1 is the most material, computed from exposure and purpose)"] == "2"


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@x", "\t=1", "\r=1", "  =1"])
def test_no_cell_is_taken_for_a_formula(text):
    assert examined.cell(text) == f"'{text}"


def test_the_table_takes_the_same_queries_for_many_models(people, browse):
    client = browse(people.clara)

    def queries() -> int:
        with CaptureQueriesContext(connection) as seen:
            table(client)
        return len(seen)

    builders.a_champion(people)
    few = queries()
    for place in range(12):
        model = versions.register_model(name=f"m{place:02}", by=people.ada, now=builders.now())
        record(model, people.ada, **whole())
    assert queries() == few


def test_the_pages_show_and_filter_what_is_overdue_or_was_never_recorded(people, browse):
    old = versions.register_model(name="old", by=people.ada, now=builders.now())
    versions.register_model(name="new", by=people.clara, now=builders.now(), exposure="low", purpose="explores")
    then = builders.now() - timedelta(days=400)
    facts = whole(next_review=(then + timedelta(days=10)).date())
    inventory.record(model=old, by=people.ada, now=then, **facts)
    client = browse(people.grace)
    everything = client.get("/inventory").content.decode()
    assert "Overdue" in everything
    assert "Not evidenced" in everything

    def shown(query: str) -> list[str]:
        return [row.model.name for row in client.get(f"/inventory?{query}").context["rows"]]

    assert shown("") == ["new", "old"]
    assert shown("state=overdue") == ["old"]
    assert shown("state=unrecorded") == ["new"]
    assert shown("tier=3") == ["new"]
    assert shown("owner=clara") == ["new"]
    record(old, people.ada, **whole())
    assert shown("state=overdue") == []


def test_somebody_records_it_on_the_page_and_reads_what_was_refused(people, browse):
    model = builders.a_model(people.ada)
    page = f"/models/{model.name}/inventory"
    form = {**whole(), "is_model": "True", "dependencies": "device feed\n\n", "jurisdictions": "EU\nDE"}
    assert browse(people.grace).post(page, form).status_code == 403
    refused = browse(people.ada).post(page, {**form, "validator": "Ada Lovelace"})
    assert refused.status_code == 422
    assert "somebody else than who developed it" in refused.content.decode()
    assert "device feed" in refused.content.decode()
    assert not InventoryRecord.objects.exists()
    assert browse(people.ada).post(page, form).status_code == 302
    made = InventoryRecord.objects.get()
    assert (made.is_model, made.dependencies, made.jurisdictions) == (True, ["device feed"], ["EU", "DE"])
    shown = browse(people.grace).get(page).content.decode()
    assert "Stop card fraud before a payment leaves." in shown
    assert "Ask ada" in shown


def test_programs_read_and_record_it_with_the_right_of_their_token(people, issue_token):
    model = builders.a_model(people.ada)
    address = f"/api/v1/models/{model.name}/inventory"
    reads = {"HTTP_AUTHORIZATION": f"Bearer {issue_token(people.ada, 'registry.read')}"}
    writes = {"HTTP_AUTHORIZATION": f"Bearer {issue_token(people.ada, 'registry.read', 'registry.describe_model')}"}
    body = {**whole(), "next_review": whole()["next_review"].isoformat()}
    send = {"content_type": "application/json"}
    assert Client().post(address, body, **send, **reads).status_code == 403
    assert not InventoryRecord.objects.exists()
    assert Client().post(address, body, **send, **writes).status_code == 201
    answer = Client().get(address, **reads).json()
    assert answer["record"]["ai_act_class"] == "excluded-fraud"
    assert answer["not_evidenced"] == ["approved uses", "limits"]
    wrong = Client().post(address, {"next_review": "soon"}, **send, **writes)
    assert wrong.status_code == 422
    assert Client().post(address, {"model": "x"}, **send, **writes).status_code == 422
