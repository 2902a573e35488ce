"""Decisions are computed again from what is on record: every bit the same, or it is said why not and by how much."""

import json
from io import StringIO

import numpy as np
import pytest
from django.core.management import call_command

from registry.models import LedgerEntry
from registry.refusals import Unknown
from scoring import decisions, environments, explaining, repeating, replaying
from scoring.events import Event
from scoring.models import Decision, Environment, Replay, ReplayRequest
from tests import builders

QUIET = lambda *_: None  # noqa: E731


def replayed(*chosen):
    return replaying.replay([decision.pk for decision in chosen], QUIET)


@pytest.fixture
def some(people):
    builders.a_champion(people)
    return [builders.a_decision(people, place) for place in range(5)]


def test_every_bit_comes_out_the_same_and_the_command_says_so(some):
    said = StringIO()
    call_command("replay", *(str(decision.pk) for decision in some), stdout=said, stderr=StringIO())
    assert "5 decisions replayed in" in said.getvalue()
    assert "0 differing bits" in said.getvalue()
    row, entry = Replay.objects.get(), LedgerEntry.objects.get(event=Event.DECISION_REPLAYED)
    assert (row.compared, row.differing, entry.subject) == (5, 0, f"replay:{row.pk}")


def test_a_sample_is_drawn_by_its_seed_over_models_of_several_versions(some, people):
    builders.a_champion(people, builders.a_checked_version(people.ada, description="another"))
    builders.stale()
    builders.a_decision(people, 7)
    drawn = [replaying.sample(4, seed=seed) for seed in (1, 1, 2)]
    assert drawn[0] == drawn[1] != drawn[2]
    assert replaying.sample(4, seed=1, model="nothing") == []
    said = StringIO()
    call_command("replay", sample=100, seed=3, json=True, stdout=said, stderr=StringIO())
    report = json.loads(said.getvalue())
    assert (report["compared"], report["differing"], report["kinds"]) == (6, 0, {})
    assert Replay.objects.get().report["chosen"] == {"sample": 100, "seed": 3, "model": ""}


def test_what_is_not_on_record_is_said_and_nothing_is_kept(some):
    with pytest.raises(Unknown, match="No decision"):
        replaying.replay([some[0].pk, some[0].deployment.package_id], QUIET)
    assert not Replay.objects.exists()


def rewrite(decision, **columns):
    """What the owner of the database can do to a row that nobody else may change."""
    with builders.superuser("scoring_decision") as execute:
        for name, value in columns.items():
            execute(f"UPDATE scoring_decision SET {name} = %s WHERE id = %s", [value, decision.pk])


@pytest.mark.parametrize(
    ("column", "changed", "words"),
    [
        ("vector", lambda row: [row.vector[0] + 1, *row.vector[1:]], "does not follow from its inputs"),
        ("inputs", lambda row: bytes(row.inputs).replace(b"channel", b"channe1"), "inputs is not what was entered"),
        ("score", lambda row: np.nextafter(row.score, 1), "columns do not repeat the answer"),
        (
            "answer",
            lambda row: bytes(row.answer).replace(b'"margin":-', b'"margin":'),
            "answer is not what was entered",
        ),
    ],
)
def test_a_record_that_does_not_hang_together_is_data(some, column, changed, words):
    rewrite(some[0], **{column: changed(some[0])})
    report = replayed(*some)
    assert (report.compared, report.kinds) == (5, {"data": 1})
    assert words in "; ".join(report.shown[0]["what"])
    with pytest.raises(SystemExit) as end:
        call_command("replay", str(some[0].pk), stdout=StringIO(), stderr=StringIO())
    assert end.value.code == 1


def test_another_file_of_the_model_is_data(some):
    with builders.changed_on_disk(some[0].deployment.package.version):
        report = replayed(*some)
    assert report.kinds == {"data": 5}
    assert "changed after they were registered" in report.shown[0]["what"][0]


class Nudged:
    """A model whose numbers come out a bit elsewhere, as another processor or library may make them."""

    flavour, explains_inline, explains_by = "lightgbm", True, "library"

    def __init__(self, runtime):
        self.runtime = runtime

    def explain(self, rows):
        found = self.runtime.explain(rows)
        found.attributions[0, 0] = np.nextafter(found.attributions[0, 0], 9)
        return found


def nudged(decision, **before):
    """Compare with a nudged model, as if the decision had been made in an environment changed like this."""
    version = decision.deployment.package.version
    runtime, _ = replaying._runtime(version)
    recorded = next(replaying._recorded([decision.pk]))
    content = environments.content("lightgbm")
    known = {environments.digest("lightgbm"): {**content, **before}} if before is not None else {}
    recorded = repeating.Recorded(recorded.decision, recorded.entry, None, known)
    return repeating.difference(recorded, replaying.Schema.load(version.schema), Nudged(runtime))


@pytest.mark.parametrize(
    ("before", "kind", "words"),
    [
        ({"cpu": {"model": "older"}}, "environment", "model older"),
        ({"libraries": {"lightgbm": "0.1"}}, "environment", "lightgbm 0.1"),
        ({"libraries": {"lightgbm": "0.1"}, "code": {}}, "environment", "lightgbm 0.1"),
        ({"code": {"registry/schema.py": "0"}}, "code", "registry/schema.py 0"),
        ({}, "data", "are the same"),
    ],
)
def test_other_bits_are_explained_by_what_changed_with_the_size_of_it(some, before, kind, words):
    found = nudged(some[0], **before)
    assert found.kind == kind
    assert words in "; ".join(found.what)
    assert set(found.size) == {"attributions"}
    assert 0 < found.size["attributions"] < 1e-12


def test_what_a_decision_was_computed_with_is_on_record_once(some):
    row = Environment.objects.get()
    assert decisions.answer_of(some[0])["environment"] == row.digest == environments.digest("lightgbm")
    assert set(row.content) == {"cpu", "libraries", "code"}
    assert row.content["libraries"]["lightgbm"]
    assert "scoring/answering.py" in row.content["code"]
    assert LedgerEntry.objects.filter(event=Event.ENVIRONMENT_SEEN, subject=f"environment:{row.digest}").count() == 1


def test_a_model_is_explained_as_its_own_record_says(some):
    version = some[0].deployment.package.version
    said = version.lineage.get("explanation", {})
    for way in ("quadrature", "library"):
        version.lineage["explanation"] = {**said, "by": way}
        assert replaying._runtime(version)[0].explains_by == way


def test_a_fallback_is_replayed_too(people):
    version = builders.a_champion(people)
    with builders.changed_on_disk(version):
        decision = builders.a_decision(people)
    assert decision.is_fallback
    assert replayed(decision).differing == 0


def test_a_button_asks_a_worker_answers_and_both_are_entered(some, people, client):
    decision = some[0]
    client.force_login(people.ada)
    assert client.post(f"/decisions/{decision.id}/replay").status_code == 403
    assert not ReplayRequest.objects.exists()
    client.force_login(people.grace)
    assert [client.post(f"/decisions/{decision.id}/replay").status_code for _ in range(2)] == [302, 302]
    assert ReplayRequest.objects.count() == 1
    assert "A worker computes it again" in client.get(f"/decisions/{decision.id}").content.decode()
    assert replaying.answer_waiting(builders.now()) == 1
    assert replaying.answer_waiting(builders.now()) == 0
    assert "every bit came out the same" in client.get(f"/decisions/{decision.id}").content.decode()
    events = LedgerEntry.objects.filter(subject=f"decision:{decision.id}", log="governance").order_by("id")
    assert list(events.values_list("event", "actor")) == [
        ("replay.requested", people.grace.actor),
        ("decision.replayed", explaining.ACTOR),
    ]


def test_the_button_is_told_what_differs(some, people, client):
    rewrite(some[0], vector=[some[0].vector[0] + 1, *some[0].vector[1:]])
    replaying.ask(decision=Decision.objects.get(pk=some[0].pk), by=people.grace, now=builders.now())
    replaying.answer_waiting(builders.now())
    client.force_login(people.grace)
    assert "does not follow from its inputs" in client.get(f"/decisions/{some[0].id}").content.decode()
