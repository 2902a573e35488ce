"""A number is asked for first and pinned later: at once, without a gap, and it ends once."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import IntegrityError, connection, transaction

from registry import ledger, registrations, versions
from registry.api.mlflow import answers, search
from registry.models import LedgerEntry, ModelVersion, Registration, RegistrationRefusal
from registry.refusals import Conflict
from registry.registrations import Kind
from tests import builders


def asked(people, **given):
    model = builders.a_model(people.ada)
    given = {"source": "runs:/0a/model", "run_id": "0a", **given}
    made = registrations.ask(model=model, by=people.ada, now=builders.now(), **given)
    return versions.registration_of("fraud", made.number)


def refuse(registration, kind=Kind.FAILED, reason="It holds a pickle."):
    registrations.refuse(registration=registration, kind=kind, reason=reason, now=builders.now())
    return versions.registration_of("fraud", registration.number)


def entered(registration):
    rows = LedgerEntry.objects.filter(subject=f"version:{registration.pk}").order_by("id")
    return [(row.event, row.actor) for row in rows]


def test_what_was_asked_for_waits_and_has_its_number_at_once(people):
    first, second = asked(people, tags={"team": "cards"}), asked(people)
    assert [first.number, second.number] == [1, 2]
    assert registrations.standing(first).status == "PENDING_REGISTRATION"
    assert entered(first) == [("version.requested", people.ada.actor), ("model.tagged", people.ada.actor)]
    with pytest.raises(Conflict, match="v1 has no files here. Its files are being fetched"):
        versions.version_of("fraud", 1)
    assert builders.a_version(people.ada, data=False).number == 3


@pytest.mark.parametrize(
    ("kind", "status", "said"),
    [(Kind.FAILED, "FAILED_REGISTRATION", "It holds a pickle."), (Kind.UNVERIFIED, "READY", "Unverified, hence never")],
)
def test_a_refusal_is_shown_as_clients_understand_it_and_entered(people, kind, status, said):
    refused = refuse(asked(people), kind)
    row = answers.version(refused)
    assert (row["status"], row["source"], row["run_id"]) == (status, "runs:/0a/model", "0a")
    assert row["status_message"].startswith(said)
    assert "It holds a pickle." in row["status_message"]
    assert entered(refused)[-1] == ("registration.refused", "service:intake")
    with pytest.raises(Conflict, match="It holds a pickle"):
        versions.version_of("fraud", 1)


def test_a_registration_ends_once(people):
    registration, version = refuse(asked(people)), builders.a_version(people.ada, data=False)
    before = LedgerEntry.objects.count()
    for again in (registration, version.registration):
        with pytest.raises(IntegrityError), transaction.atomic():
            refuse(again)
    with pytest.raises(IntegrityError, match="pinned or refused already"), transaction.atomic():
        copy = ModelVersion.objects.get(pk=version.pk)
        copy.registration, copy.number = registration, registration.number
        copy.save(force_insert=True)
    assert (RegistrationRefusal.objects.count(), ModelVersion.objects.count()) == (1, 1)
    assert LedgerEntry.objects.count() == before


def test_a_version_cannot_be_put_under_another_number(people):
    registration, version = asked(people), builders.a_version(people.ada, data=False)
    version.registration, version.number = registration, 7
    with pytest.raises(IntegrityError, match="version_of_its_registration"), transaction.atomic():
        version.save(force_insert=True)
        connection.check_constraints()


def test_a_run_is_found_whoever_named_it(people):
    made = builders.a_version(people.ada, data=False)
    asked(people, run_id="0b")
    run = made.lineage["run_id"]
    found = lambda text: [row.number for row in search.versions(text, ["version_number ASC"])]  # noqa: E731
    assert found("run_id = '0b'") == [2]
    assert found(f"run_id = '{run}'") == [1]
    assert found("run_id LIKE '0%'") == [2]
    assert found("source_path = 'test'") == [1]
    assert ledger.facts_of(LedgerEntry.objects.filter(event="version.requested").get())["number"] == 2
    assert Registration.objects.count() == 2


def test_twenty_clients_at_once_get_the_numbers_without_gap_or_duplicate(committed):
    model = builders.a_model(committed.ada)

    def client(_):
        try:
            numbers = [registrations.ask(model=model, source="runs:/0a/m", by=committed.ada, now=builders.now()).number]
            return [*numbers, builders.a_version(committed.ada, data=False).number]
        finally:
            connection.close()

    with ThreadPoolExecutor(20) as pool:
        given = [number for numbers in pool.map(client, range(20)) for number in numbers]
    assert sorted(given) == list(range(1, 41))
    assert sorted(Registration.objects.values_list("number", flat=True)) == list(range(1, 41))


def test_the_pages_show_a_number_without_files_and_why(people, client):
    refuse(asked(people), Kind.UNVERIFIED, "There is nothing at this source.")
    asked(people)
    client.force_login(people.clara)
    page = client.get("/models/fraud/versions/1").content.decode()
    assert "There is nothing at this source." in page
    assert "never checked, approved or served" in page
    assert "Unverified" in page
    assert "Registration refused" in page
    assert "Its files are being fetched" in client.get("/models/fraud/versions/2").content.decode()
    model = client.get("/models/fraud").content.decode()
    assert model.count("no files") == 2
    assert "Pending" in model
