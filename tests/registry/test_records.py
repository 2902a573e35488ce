"""What is registered is entered, by digest where people write freely."""

from registry import canonical, datasets, labels, ledger, versions
from registry.models import Dataset, LedgerEntry
from tests import builders

SECRET = "Zoë Müller's idea"


def facts(event):
    return [ledger.facts_of(entry) for entry in LedgerEntry.objects.filter(event=event).order_by("id")]


def test_description_tags_and_aliases_are_entered_by_their_digests(people):
    model = versions.register_model(name="fraud", description=SECRET, by=people.ada, now=builders.now())
    version = builders.a_version(people.ada, data=False, description=SECRET, tags={SECRET: SECRET, "team": "cards"})
    labels.alias(model=model, name=SECRET, registration=version.registration, by=people.ada, now=builders.now())
    assert facts("model.registered")[0]["description"] == canonical.digest(SECRET)
    assert facts("version.registered")[0]["description"] == canonical.digest(SECRET)
    assert facts("model.tagged") == [
        {"tag": canonical.digest({"key": SECRET, "value": SECRET})},
        {"tag": canonical.digest({"key": "team", "value": "cards"})},
    ]
    assert facts("model.aliased")[0]["alias"] == canonical.digest(SECRET)
    said = b"".join(bytes(data) for data in LedgerEntry.objects.values_list("bytes", flat=True))
    assert "Müller".encode() not in said


def test_who_is_protected_is_entered_with_the_data_set(people):
    builders.a_version(people.ada)
    entered = {fact["dataset"]: fact["record"] for fact in facts("dataset.registered")}
    for dataset in Dataset.objects.all():
        assert entered[dataset.digest] == canonical.digest(datasets.record(dataset))
        changed = [{**column, "role": "other"} for column in dataset.columns]
        assert entered[dataset.digest] != canonical.digest(datasets.record(dataset) | {"columns": changed})
