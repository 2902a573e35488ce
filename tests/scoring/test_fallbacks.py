"""Where no score can be given, the band that the package's signers chose for that is answered, and says so."""

import json

import pytest
from django.db import IntegrityError, transaction
from django.urls import reverse
from rest_framework.test import APIClient

from governance import approvals, retraining
from governance.dossier import issue, verify
from governance.models import Case
from monitoring.models import Alert, MonitorRun
from registry import fallbacks
from registry.ids import uuid7
from registry.models import LedgerEntry
from registry.refusals import Invalid
from scoring import decisions
from scoring.models import Decision, RefusedLoad
from tests import builders

STRICTEST = builders.BANDS[-1]


@pytest.fixture
def api(issue_token, engine):
    token = issue_token(engine, "scoring.score", "registry.read")
    return APIClient(HTTP_AUTHORIZATION=f"Bearer {token}")


def a_fallback(people, version, place=0, **given):
    """What a server answers that was started while the model's file was swapped."""
    builders.forget_serving()
    with builders.changed_on_disk(version):
        decision = builders.a_decision(people, place, **given)
    assert decision.is_fallback
    return decision


def a_failing_champion(people):
    """A model that passes what little its policy asks, and then fails on every row."""
    builders.a_policy(people, checks={"drift": {"drifted_share": {"fail_above": 1}}})
    return builders.a_champion(people, builders.a_checked_version(people.ada, files=builders.broken_files()))


def test_after_a_restart_a_swapped_file_gives_the_fallback_and_the_true_one_scores_again(people):
    version = builders.a_champion(people)
    with builders.changed_on_disk(version):
        decision = builders.a_decision(people)
        builders.stale()
        assert builders.a_decision(people, 1).is_fallback
    assert (decision.score, decision.vector, decision.attributions) == (None, None, None)
    assert decision.band == STRICTEST["name"]
    assert decisions.answer_of(decision) == {
        "score": None,
        "band": STRICTEST["name"],
        "action": STRICTEST["action"],
        "reasons": [],
        "fallback": "The champion could not be verified and loaded, so its fallback answers. "
        "The platform team was alerted.",
    }
    assert decisions.inputs_of(decision)["features"] == builders.features()
    assert LedgerEntry.objects.filter(subject=f"decision:{decision.id}", event="decision.answered").count() == 1
    assert RefusedLoad.objects.count() == 1
    builders.stale()
    assert builders.a_decision(people, 2).score is not None


@pytest.mark.urls("scoring.serving_urls")
def test_a_decision_engine_is_told_and_wrong_features_are_refused_as_ever(people, api):
    version = builders.a_champion(people)
    path = "/api/v1/models/fraud/score"
    with builders.changed_on_disk(version):
        seen = api.post(path, {"features": builders.features(), "request_id": "r"}, format="json")
        again = api.post(path, {"features": builders.features(), "request_id": "r"}, format="json")
        wrong = api.post(path, {"features": {"amount": "much"}}, format="json")
    assert seen.status_code == 200
    assert seen.json() == again.json()
    assert seen.json() | {"score": None, "band": "block", "action": "decline", "reasons": []} == seen.json()
    assert "could not be verified" in seen.json()["fallback"]
    assert wrong.status_code == 422
    kept = api.get(f"/api/v1/decisions/{seen.json()['decision_id']}").json()
    assert kept["fallback"] == kept["answer"]["fallback"] == seen.json()["fallback"]
    builders.forget_serving()
    scored = api.post(path, {"features": builders.features()}, format="json").json()
    assert scored["fallback"] is None
    assert Decision.objects.count() == 2


def test_an_older_model_does_not_come_back_by_itself_but_the_newest_signed_fallback_answers(committed):
    builders.a_champion(committed)
    files = {**builders.model_files(), "note.txt": b"of the second alone"}
    second = builders.a_champion(committed, builders.a_checked_version(committed.ada, files=files))
    file = builders.stored(second.artifact["note.txt"]["sha256"])
    with builders._written(file, b"of somebody else"):
        assert builders.a_decision(committed).deployment.package.version == second
    assert Decision.objects.get().is_fallback


def test_a_repointed_row_after_a_restart_gives_the_fallback_of_what_was_warranted_before(committed):
    first = builders.a_champion(committed)
    files = {**builders.model_files(), "note.txt": b"of the second alone"}
    builders.a_champion(committed, builders.a_checked_version(committed.ada, files=files))
    with builders.superuser("scoring_deployment") as execute:
        execute(
            "UPDATE scoring_deployment SET package_id = (SELECT min(package_id::text)::uuid FROM scoring_deployment)"
        )
    builders.forget_serving()
    decision = builders.a_decision(committed)
    assert decision.is_fallback
    assert decision.deployment.package.version == first
    assert "not warranted" in RefusedLoad.objects.get().reason


def test_a_model_that_fails_on_a_row_is_answered_for_by_its_fallback(people):
    a_failing_champion(people)
    decision = builders.a_decision(people)
    said = decisions.answer_of(decision)
    assert (said["band"], said["action"], said["score"]) == ("block", "decline", None)
    assert said["fallback"] == "The model gave no valid score for these inputs (Mismatch)."
    assert not RefusedLoad.objects.exists()
    with pytest.raises(Invalid, match="do not fit the schema"):
        decisions.decide(name="fraud", features={}, by=people.engine, now=builders.now())
    assert Decision.objects.count() == 1


@pytest.mark.parametrize("column", ["vector", "score"])  # attributions may follow later
def test_the_database_takes_a_whole_score_or_none(people, column):
    builders.a_champion(people)
    decision = builders.a_decision(people)
    setattr(decision, column, None)
    decision.id = uuid7()
    with pytest.raises(IntegrityError, match="scored_or_fallback"), transaction.atomic():
        decision.save(force_insert=True)


def test_the_pages_show_a_fallback_as_one(people, client):
    version = builders.a_champion(people)
    decision = a_fallback(people, version)
    builders.forget_serving()
    scored = builders.a_decision(people, 1)
    client.force_login(people.clara)
    page = client.get(reverse("decision", args=[decision.id])).content.decode()
    assert "No score was given." in page
    assert "could not be verified" in page
    assert "Why this score" not in page
    assert "amount" in page
    listed = client.get(reverse("decisions")).content.decode()
    assert listed.count("fallback") == 1
    assert f"{scored.score:.4f}" in listed
    assert "No score was given" not in client.get(reverse("decision", args=[scored.id])).content.decode()


def test_monitors_count_fallbacks_apart(committed):
    rules = {
        "drift": {"window": 20, "limits": {"largest_psi": {"fail_above": 100}}},
        "performance": {"window": 20, "limits": {"brier": {"fail_above": 1}}},
        "fallbacks": {"window": 25, "limits": {"fallback_share": {"fail_above": 0.1}}},
    }
    builders.a_policy(committed, monitors=rules)
    version = builders.a_champion(committed)
    made = [a_fallback(committed, version, place) for place in range(5)]
    builders.forget_serving()
    made += [builders.a_decision(committed, place) for place in range(5, 25)]
    for number, decision in enumerate(made):
        builders.an_outcome(committed, decision, number % 2)
    builders.watch()
    runs = {run.monitor: run for run in MonitorRun.objects.all()}
    assert {name: run.decisions for name, run in runs.items()} == {"drift": 20, "performance": 20, "fallbacks": 25}
    assert runs["drift"].window_start == runs["performance"].window_start == made[5].at
    assert runs["fallbacks"].measurements == [{"name": "fallback_share", "value": 0.2, "n": 25, "slice": "", "p": None}]
    assert [runs[name].verdict for name in ("drift", "performance", "fallbacks")] == ["pass", "pass", "fail"]
    alert = Alert.objects.get(kind="fallbacks")
    assert "fallback_share is 0.2" in alert.detail
    assert retraining.open_cases(builders.now()) == 0  # no other model would cure it


def test_a_retraining_learns_nothing_from_fallbacks(committed):
    builders.a_policy(committed, monitors={"drift": {"window": 20, "limits": {"largest_psi": {"fail_above": -1}}}})
    version = builders.a_champion(committed)
    made = [builders.a_decision(committed, place) for place in range(20)]
    builders.watch()
    retraining.open_cases(builders.now())
    made.append(a_fallback(committed, version, 20))
    for decision in made:
        builders.an_outcome(committed, decision)
    case = Case.objects.get()
    assert retraining.labels(case)[0] == 20
    assert retraining._labelled(version.model, version, []).num_rows == 20


@pytest.fixture
def dossier(committed):
    version = builders.a_champion(committed)
    decision = a_fallback(committed, version)
    builders.an_outcome(committed, decision)
    issued = issue.for_decision(decision=decision, by=committed.clara, now=builders.now())
    builders.sequence()
    return issue.archive(issued)


def test_a_dossier_of_a_fallback_verifies_and_no_other_answer_does(dossier):
    assert verify.verify(dossier)["deployments"] == 1
    files = verify.unpack(dossier)
    answer = json.loads(files["decision/answer.json"])
    package = json.loads(next(data for path, data in files.items() if path.startswith("records/package/")))
    what = "decision/answer.json"

    def check(said):
        held = {what: json.dumps(said).encode(), "decision/inputs.json": files["decision/inputs.json"]}
        verify.check_answer(verify.World(held, (), None), what, package, {})

    check(answer)
    for part in (
        {"band": "allow"},
        {"action": "let through"},
        {"band": "allow", "action": "let through"},
        {"score": 0.01},
        {"reasons": [{"code": "AMOUNT"}]},
        {"attributions": [0.1]},
    ):
        with pytest.raises(verify.Bad, match="answer.json: (the answer is not the|a) fallback"):
            check({**answer, **part})


RULES = [
    {"feature": "amount", "is": "above", "value": 1000.0, "band": "block"},
    {"feature": "channel", "is": "equal", "value": "web", "band": "allow"},
    {"feature": "amount", "is": "missing", "band": "review"},
]


def a_champion_with(people, **fallback):
    version = builders.a_checked_version(people.ada)
    request = approvals.request(
        version=version,
        bands=builders.BANDS,
        reason="It finds more fraud.",
        fallback={"band": "review", **fallback},
        by=people.ada,
        now=builders.now(),
    )
    builders.sign(request, people.grace)
    builders.sign(request, people.alan)
    builders.promotion.promote(version=version, reason="Go.", by=people.olivia, now=builders.now())
    builders.promotion.execute_waiting(builders.now())
    return version


def test_rules_that_were_signed_decide_by_the_features_when_no_score_can_be_given(committed, client):
    features = builders.features()
    rules = [
        {"feature": "amount", "is": "above", "value": features["amount"], "band": "allow"},
        {"feature": "channel", "is": "equal", "value": features["channel"], "band": "block"},
    ]
    version = a_champion_with(committed, rules=rules)
    decision = a_fallback(committed, version)
    said = decisions.answer_of(decision)
    assert (said["band"], said["action"], said["rule"]) == ("block", "decline", 2)
    issued = issue.for_decision(decision=decision, by=committed.clara, now=builders.now())
    builders.sequence()
    assert verify.verify(issue.archive(issued))["deployments"] == 1
    client.force_login(committed.clara)
    assert "by its rule 2" in client.get(reverse("decision", args=[decision.id])).content.decode()


CARD = {
    "items": [
        {"feature": "amount", "is": "above", "value": 100.0, "points": 0.1},
        {"feature": "amount", "is": "above", "value": 1000.0, "points": 0.2},
        {"feature": "channel", "is": "equal", "value": "web", "points": -2},
        {"feature": "amount", "is": "missing", "points": 1},
    ],
    "bands": [{"from": 0.3, "band": "review"}, {"from": 1, "band": "block"}],
}


def test_a_signed_scorecard_decides_when_no_score_can_be_given(committed, client):
    features = builders.features()
    item = {"feature": "amount", "is": "above", "value": features["amount"] - 1, "points": 1.5}
    version = a_champion_with(committed, scorecard={"items": [item], "bands": [{"from": 1.5, "band": "block"}]})
    decision = a_fallback(committed, version)
    said = decisions.answer_of(decision)
    assert (said["band"], said["points"], said["score"], "rule" in said) == ("block", 1.5, None, False)
    issued = issue.for_decision(decision=decision, by=committed.clara, now=builders.now())
    builders.sequence()
    assert verify.verify(issue.archive(issued))["deployments"] == 1
    client.force_login(committed.clara)
    assert "by 1.5 points of its scorecard" in client.get(reverse("decision", args=[decision.id])).content.decode()
    assert "from 1.5 points “block”" in client.get(reverse("version", args=["fraud", 1])).content.decode()


@pytest.mark.parametrize(
    ("features", "band", "by"),
    [
        ({"amount": 50.0, "channel": "app"}, "allow", {"points": 0.0}),
        ({"amount": 2000.0, "channel": "app"}, "review", {"points": 0.30000000000000004}),
        ({"amount": 2000.0, "channel": "web"}, "allow", {"points": -1.7}),
        ({"channel": "app"}, "block", {"points": 1.0}),
    ],
)
def test_the_last_band_that_the_points_reach_is_answered(features, band, by):
    fallback = {"band": "allow", "scorecard": CARD}
    assert fallbacks.answers(fallback, features) == (band, by) == verify.falls_back(fallback, features)
    rules = [{"feature": "channel", "is": "equal", "value": "web", "band": "block"}]
    decided = features["channel"] == "web"
    assert fallbacks.answers({**fallback, "rules": rules}, features) == (
        ("block", {"rule": 1}) if decided else (band, by)
    )


@pytest.mark.parametrize(
    "change",
    [
        {"items": []},
        {"items": [{"feature": "amount", "is": "above", "value": 1.0, "points": float("nan")}]},
        {"items": [{"feature": "amount", "is": "above", "value": 1.0, "points": True}]},
        {"items": [{"feature": "amount", "is": "above", "value": 1.0, "band": "block"}]},
        {"items": [{"feature": "colour", "is": "missing", "points": 1}]},
        {"bands": []},
        {"bands": [{"from": 1, "band": "review"}, {"from": 1, "band": "block"}]},
        {"bands": [{"from": 1, "band": "nothing"}]},
        {"more": 1},
    ],
)
def test_a_scorecard_that_cannot_be_added_up_is_refused(change):
    schema, bands = builders.trained().schema, ["allow", "review", "block"]
    sound = {"items": CARD["items"][:3], "bands": CARD["bands"]}
    assert fallbacks.checked({"band": "review", "scorecard": sound}, bands, schema)["scorecard"] == sound
    with pytest.raises(Invalid):
        fallbacks.checked({"band": "review", "scorecard": {**sound, **change}}, bands, schema)


@pytest.mark.parametrize(
    ("features", "band", "rule"),
    [
        ({"amount": 1000.5, "channel": "web"}, "block", 1),
        ({"amount": 1000.0, "channel": "web"}, "allow", 2),
        ({"amount": 5, "channel": "app"}, "review", None),
        ({"amount": None, "channel": "app"}, "review", 3),
        ({"channel": "app"}, "review", 3),
    ],
)
def test_the_first_rule_that_holds_decides(features, band, rule):
    fallback = {"band": "review", "rules": RULES}
    by = {"rule": rule} if rule else {}
    assert fallbacks.answers(fallback, features) == (band, by) == verify.falls_back(fallback, features)


@pytest.mark.parametrize(
    "change",
    [
        {"band": "nothing"},
        {"feature": "colour"},
        {"is": "like"},
        {"value": float("nan")},
        {"value": "12"},
        {"value": True},
        {"more": 1},
        {"feature": "channel"},
        {"feature": "channel", "is": "equal", "value": "pigeon"},
        {"is": "missing"},
    ],
)
def test_a_rule_that_cannot_be_applied_is_refused(change):
    schema, bands = builders.trained().schema, ["allow", "review", "block"]
    rule = {"feature": "amount", "is": "above", "value": 1.0, "band": "block"}
    assert fallbacks.checked({"band": "review", "rules": [rule]}, bands, schema)["rules"] == [rule]
    with pytest.raises(Invalid, match="rule 1 cannot be applied"):
        fallbacks.checked({"band": "review", "rules": [{**rule, **change}]}, bands, schema)


@pytest.mark.parametrize("rules", [{}, "x", [1], [RULES[0]] * 21])
def test_rules_of_another_form_are_refused(rules):
    with pytest.raises(Invalid, match="The fallback is an object"):
        fallbacks.checked({"band": "allow", "rules": rules}, ["allow"], builders.trained().schema)
