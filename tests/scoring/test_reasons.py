"""Why a score is what it is: in the words that were signed, and nothing restricted to the customer."""

import json

import pytest
from rest_framework.test import APIClient

from governance.dossier import issue, verify
from registry import canonical, packages
from registry.models import Package
from registry.refusals import Invalid
from scoring import decisions, reasons
from scoring.models import Decision
from tests import builders

NAMES = ["a", "b", "c", "d", "e", "f"]
PLAIN = {name: {"code": name.upper(), "text": f"about {name}"} for name in NAMES}


def codes(found):
    return [reason["code"] for reason in found]


def test_the_strongest_that_raise_the_score_come_first_and_four_at_the_most():
    found = reasons.principal(PLAIN, NAMES, [0.1, 0.5, -3.0, 0.5, 0.2, 0.3])
    assert found == [
        {"code": "B", "feature": "b", "contribution": 0.5},
        {"code": "D", "feature": "d", "contribution": 0.5},
        {"code": "F", "feature": "f", "contribution": 0.3},
        {"code": "E", "feature": "e", "contribution": 0.2},
    ]
    assert reasons.told(PLAIN, found)[0]["text"] == "about b"


def test_a_family_is_one_reason_with_the_exact_sum_of_its_features():
    family = {"code": "V", "text": "how often you paid", "family": "velocity"}
    found = reasons.principal({**PLAIN, "a": family, "b": family, "c": family}, NAMES, [0.1, 0.2, 0.3, 0.5, 0, -1])
    assert found == [
        {"code": "V", "family": "velocity", "contribution": 0.6},
        {"code": "D", "feature": "d", "contribution": 0.5},
    ]
    assert 0.1 + 0.2 + 0.3 != 0.6  # a sum from left to right is another number


def test_a_restricted_feature_is_the_investigators_alone():
    secret = {"code": "S9", "text": "-", "investigator": "on the list", "restricted": True}
    known = {**PLAIN, "a": secret}
    values = [9.0, 0.1, 0.2, 0.3, 0.4, 0.5]
    assert codes(reasons.principal(known, NAMES, values)) == ["F", "E", "D", "C"]
    first = reasons.investigated(known, NAMES, values)[0]
    assert first == {"code": "S9", "feature": "a", "contribution": 9.0, "text": "on the list", "restricted": True}
    assert reasons.investigated(known, NAMES, values)[1]["text"] == "about f"


@pytest.mark.parametrize(("direction", "found"), [("raises", ["B"]), ("lowers", ["A", "B"]), ("either", ["A", "B"])])
def test_a_direction_says_which_contributions_are_a_reason(direction, found):
    known = {**PLAIN, "a": {**PLAIN["a"], "direction": direction}}
    assert codes(reasons.principal(known, NAMES, [-1.0, 0.5, 0, 0, 0, 0])) == found


@pytest.mark.parametrize("direction", ["raises", "lowers", "either"])
@pytest.mark.parametrize("restricted", [True, False])
def test_the_offline_verifier_finds_the_same_reasons(direction, restricted):
    family = {"code": "V", "text": "v", "family": "v", "direction": direction}
    known = {**PLAIN, "a": family, "c": family, "e": {**PLAIN["e"], "restricted": restricted}}
    for values in ([0.1, 0.2, 0.2, 0.3, 0.7, -0.3], [-0.1, -0.0, 0.1, 0.1, 0.1, 0.1], [0.0] * 6):
        assert reasons.principal(known, NAMES, values) == verify.principal(known, NAMES, values)[0]


def test_answers_recorded_with_their_texts_keep_them_and_verify():
    values = [0.1, 0.5, -3.0, 0.5, 0.2, 0.3]
    before = [{**PLAIN[r["feature"]], **r} for r in reasons.principal(PLAIN, NAMES, values)]
    assert before in verify.principal(PLAIN, NAMES, values)
    other = {**PLAIN, "b": {"code": "B", "text": "reworded"}}
    assert reasons.told(other, before)[0]["text"] == "about b"


def assembled(version, by, told):
    return packages.assemble(version=version, bands=builders.BANDS, reasons=told, by=by, now=builders.now())


def test_a_map_that_says_nothing_new_has_the_digest_it_always_had(people):
    version = builders.a_version(people.ada)
    before = assembled(version, people.ada, {"amount": {"code": "R1", "text": "the amount"}})
    usual = {"code": "R1", "text": "the amount", "restricted": False, "direction": "raises"}
    assert assembled(version, people.ada, {"amount": usual}) == before
    assert before.reasons["amount"] == {"code": "R1", "text": "the amount"}
    assert before.digest == canonical.digest(packages.record(before))
    assert assembled(version, people.ada, {"amount": {**usual, "investigator": "compare"}}) != before


@pytest.mark.parametrize(
    ("told", "words"),
    [
        ({"amount": {"colour": "red"}}, "nothing else"),
        ({"amount": {"restricted": 1}}, "true or false"),
        ({"amount": {"direction": "up"}}, "raises, lowers, either"),
        ({"amount": {"investigator": "x\n"}}, "printable"),
        ({"nothing": {"code": "X"}}, "not features"),
        ({"amount": {"family": "f"}, "hour": {"family": "f"}}, "family f share"),
        ({"amount": {"family": "hour"}}, "not called like a feature"),
        ({"amount": {"code": "X", "restricted": True}, "hour": {"code": "X"}}, "told of by X"),
        ({"amount": {"text": "seen", "restricted": True}, "hour": {"text": "seen"}}, "told of by seen"),
    ],
)
def test_a_map_that_could_mislead_is_refused(people, told, words):
    version = builders.a_version(people.ada)
    with pytest.raises(Invalid, match=words):
        assembled(version, people.ada, told)
    assert not Package.objects.exists()


def api(token):
    return APIClient(HTTP_AUTHORIZATION=f"Bearer {token}")


SECRET = {"code": "S9", "text": "screening", "investigator": "Compare with the watch list", "restricted": True}


def a_secret_decision(people):
    """A decision of a package in which what raised its score most is restricted."""
    builders.a_champion(people)
    first = decisions.answer_of(builders.a_decision(people))["reasons"][0]["feature"]
    builders.a_champion(people, builders.a_checked_version(people.ada, description="x"), reasons={first: SECRET})
    builders.stale()
    return builders.a_decision(people)


@pytest.fixture
def secretive(people):
    return a_secret_decision(people)


@pytest.mark.urls("scoring.serving_urls")
def test_callers_read_the_customers_reasons_and_investigators_everything(secretive, people, issue_token):
    engine = api(issue_token(people.engine, "scoring.score", "registry.read"))
    asked = engine.post("/api/v1/models/fraud/score", {"features": builders.features()}, format="json")
    read = engine.get(f"/api/v1/decisions/{secretive.id}")
    for said in (asked.json()["reasons"], read.json()["reasons"], read.json()["answer"]["reasons"]):
        assert said
        assert "S9" not in codes(said)
        assert not any(word in json.dumps(said) for word in ("screening", "watch list"))
    assert "text" in asked.json()["reasons"][0]
    assert "text" not in read.json()["answer"]["reasons"][0]
    assert "investigation" not in read.json()
    grace = api(issue_token(people.grace, "registry.read", "scoring.investigate"))
    found = grace.get(f"/api/v1/decisions/{secretive.id}").json()["investigation"]
    assert (found[0]["code"], found[0]["text"], found[0]["restricted"]) == ("S9", SECRET["investigator"], True)
    assert Decision.objects.count() == 3


def test_the_page_tells_an_investigator_more(secretive, people, client):
    pages = {}
    for name in ("grace", "ada"):
        client.force_login(getattr(people, name))
        pages[name] = client.get(f"/decisions/{secretive.id}").content.decode()
    assert "Compare with the watch list" in pages["grace"]
    assert "Compare with the watch list" not in pages["ada"]
    assert all("<h2>Why</h2>" in page for page in pages.values())


def test_a_dossier_with_a_restricted_reason_verifies_and_one_that_lets_it_slip_does_not(committed):
    secretive = a_secret_decision(committed)
    dossier = issue.for_decision(decision=secretive, by=committed.clara, now=builders.now())
    builders.sequence()
    data = issue.archive(dossier)
    assert "VERIFIED" in verify.verify(data)["lines"][0]
    files = verify.unpack(data)
    answer = json.loads(files["decision/answer.json"])
    package = packages.record(secretive.deployment.package)
    version = {"schema": secretive.deployment.package.version.schema, "flavour": "lightgbm"}
    full = list(reasons.ranked(package["reasons"], answer["features"], answer["attributions"]))[:4]
    world = verify.World({**files, "x": json.dumps({**answer, "reasons": full}).encode()}, (), None)
    with pytest.raises(verify.Bad, match="reasons do not follow"):
        verify.check_answer(world, "x", package, version)
