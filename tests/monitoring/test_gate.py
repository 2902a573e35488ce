"""The gate over HTTP: each line of the policy held against what was measured; who may look, who may start it."""

import pytest

from monitoring import gate, verdicts
from monitoring.measurement import Measurement
from monitoring.models import CheckRun
from registry import policies
from tests import builders

LIMITS = {"roc_auc": {"fail_below": 0.6, "warn_below": 0.7, "minimum_n": 100}}


@pytest.fixture
def ask(client, issue_token):
    def send(who, path, method="get", scopes=("registry.read",)):
        secret = issue_token(who, *scopes)
        return getattr(client, method)(path, headers={"Authorization": f"Bearer {secret}"})

    return send


def path(version):
    return f"/api/v1/models/{version.model.name}/versions/{version.number}/gate"


@pytest.mark.parametrize(
    ("value", "n", "verdict", "line", "edge"),
    [
        (0.5, 200, "fail", "/checks/performance/roc_auc/fail_below", 0.6),
        (0.65, 200, "warn", "/checks/performance/roc_auc/warn_below", 0.7),
        (0.8, 200, "pass", "/checks/performance/roc_auc", None),
        (0.8, 50, "insufficient", "/checks/performance/roc_auc/minimum_n", 100),
        (None, 200, "insufficient", "/checks/performance/roc_auc", None),
    ],
)
def test_a_line_names_the_bound_that_decided(value, n, verdict, line, edge):
    (found,) = gate.lines(["checks", "performance"], LIMITS, [Measurement("roc_auc", value, n).dump()])
    assert (found["verdict"], found["line"], found["edge"]) == (verdict, line, edge)
    assert (found["value"], found["n"], found["limit"]) == (value, n, LIMITS["roc_auc"])
    assert bool(found["reason"]) == (verdict != "pass")


def test_what_was_not_measured_is_a_line_too():
    (found,) = gate.lines(["checks", "performance"], LIMITS, [])
    assert (found["verdict"], found["reason"]) == ("insufficient", "roc_auc could not be measured")


def test_the_verdict_is_that_of_the_lines():
    measured = [Measurement("roc_auc", 0.5, 200, "a"), Measurement("roc_auc", 0.9, 200, "b")]
    lines = verdicts.lines(measured, LIMITS)
    assert [line.verdict for line in lines] == ["fail", "pass"]
    assert verdicts.judge(measured, LIMITS) == ("fail", [lines[0].reason])


def test_a_pointer_reads_back_whatever_the_name():
    assert gate.pointer("a/b", "~") == "/a~1b/~0"


def test_the_gate_is_shown_from_nothing_done_to_passed(people, ask):
    version = builders.a_version(people.ada)
    before = ask(people.clara, path(version)).json()
    assert {check["state"] for check in before["checks"]} == {"unopened"}
    assert (before["done"], before["passed"], before["verdict"]) == (False, False, "insufficient")
    builders.check(version)
    after = ask(people.clara, path(version)).json()
    assert (after["done"], after["passed"]) == (True, True)
    assert after["policy"]["digest"] == policies.in_force(1).digest
    for check in after["checks"]:
        assert check["verdict"] == verdicts.worst(["pass", *(line["verdict"] for line in check["lines"])])
        assert check["reasons"] == [line["reason"] for line in check["lines"] if line["reason"]]


def test_who_registers_starts_the_checks_of_an_older_version(people, ask):
    old = builders.a_checked_version(people.ada)
    builders.a_version(people.ada)
    builders.a_policy(people, review_budget=0.06)
    builders.runs.open_missing(builders.now())
    owed = CheckRun.objects.filter(version=old, policy=policies.in_force(1))
    assert not owed.exists()
    refused = ask(people.clara, path(old), "post")
    assert refused.status_code == 403
    assert "registry.register_version" in refused.json()["detail"]
    assert not owed.exists()
    for _ in range(2):
        answer = ask(people.ada, path(old), "post", ("registry.read", "registry.register_version"))
        assert answer.status_code == 202
        assert {check["state"] for check in answer.json()["checks"]} == {"waiting"}
        assert set(owed.values_list("check_name", flat=True)) == set(policies.in_force(1).rules["checks"])
    builders.check(old)
    assert ask(people.ada, path(old)).json()["passed"]


def test_what_cannot_be_served_is_not_checked(people, ask):
    files = {name: content for name, content in builders.model_files().items() if name != "model.lgb"}
    version = builders.a_version(people.ada, files=files)
    refused = ask(people.ada, path(version), "post", ("registry.register_version",))
    assert refused.status_code == 409
    assert "not among its files" in refused.json()["detail"]
    assert not CheckRun.objects.exists()
    assert not ask(people.ada, path(version)).json()["passed"]


def test_nobody_looks_without_a_token(people, client):
    version = builders.a_version(people.ada)
    assert client.get(path(version)).status_code == 401
    assert client.get("/api/v1/whoami").status_code == 401
    assert client.get("/api/v1/observations").status_code == 401
    assert client.get("/api/v1/standing").status_code == 401


def test_a_token_says_who_it_is_and_no_more_than_its_scopes(people, ask):
    said = ask(people.ada, "/api/v1/whoami").json()
    assert (said["username"], said["roles"]) == ("ada", ["data-scientist"])
    assert said["permissions"] == ["registry.read"]
    assert said["token"]["name"] == "test"


def test_owners_observe_what_serves(committed, ask, django_assert_max_num_queries):
    version = builders.a_champion(committed)
    builders.a_model(committed.ada, "idle")
    for place in range(500):
        builders.a_decision(committed, place)
    builders.watch()
    (fraud, idle) = ask(committed.ada, "/api/v1/observations").json()["models"]
    assert (fraud["model"], fraud["serving"], idle["serving"]) == ("fraud", version.number, None)
    assert {run["monitor"] for run in fraud["monitors"]} >= {"drift", "fallbacks"}
    drift = next(run for run in fraud["monitors"] if run["monitor"] == "drift")
    assert drift["lines"][0]["line"].startswith("/monitors/drift/limits/largest_psi")
    assert ask(committed.grace, "/api/v1/observations").json() == {"models": []}
    with django_assert_max_num_queries(12):
        assert len(ask(committed.grace, "/api/v1/observations?model=fraud").json()["models"]) == 1


def test_owners_see_where_their_versions_stand(people, ask):
    builders.a_checked_version(people.ada)
    builders.a_version(people.ada)
    newest = ask(people.ada, "/api/v1/standing").json()["models"]
    assert [(row["version"], row["stage"]) for row in newest[0]["versions"]] == [(2, "registered")]
    every = ask(people.grace, "/api/v1/standing?model=fraud").json()["models"]
    assert [(row["version"], row["stage"]) for row in every[0]["versions"]] == [(2, "registered"), (1, "checked")]
