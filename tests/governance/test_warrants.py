"""A warrant lets one row serve, and whoever changes anything of it or of what it names is refused."""

import base64
import json
from datetime import timedelta
from uuid import uuid4

import pytest
from django.conf import settings
from django.contrib.auth.models import Group

from governance import promotion
from registry import canonical, dsse, keys, ledger, policies
from registry.models import LedgerEntry, User
from registry.refusals import Mismatch
from scoring import deployments
from scoring.models import Deployment
from tests import builders

OTHER = canonical.sha256(b"something else")
# What the governor itself could not get past a server, if it were in foreign hands: the rows say otherwise.
BOUND = ("deployment", "model", "version", "policy", "request", "order", "ordered_by", "issued_at")


@pytest.fixture
def deployment(people):
    return deployments.current(builders.a_champion(people).model)


def opened(deployment):
    return dsse.unseal(deployment.warrant, deployments.warrant_key())


def leaves(value, path=()):
    """Yield the path of each value within a JSON value."""
    if isinstance(value, dict | list):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from leaves(item, (*path, key))
    else:
        yield path


def changed(value, path):
    """Return a copy of a JSON value with the value at a path changed to another of its kind."""
    copy = json.loads(json.dumps(value))
    place = copy
    for key in path[:-1]:
        place = place[key]
    old = place[path[-1]]
    place[path[-1]] = old + 1 if isinstance(old, int) else OTHER if len(old) == 64 else f"{old}x"
    return copy


def refused(deployment, words="", **columns):
    for name, value in columns.items():
        setattr(deployment, name, value)
    with pytest.raises(Mismatch, match=words):
        deployments.verify(deployment)


def test_a_warrant_says_what_it_stands_for_by_digests(deployment):
    said = opened(deployment)
    assert deployments.verify(deployment) == said["predicate"]
    assert said["subject"] == [{"name": "fraud v1", "digest": {"sha256": deployment.package.digest}}]
    assert set(said["predicate"]) == deployments.FIELDS | deployments.ALSO
    assert set(said["predicate"]["results"]) == set(policies.in_force(1).rules["checks"])
    assert canonical.digest(said["predicate"]["results"]) == said["predicate"]["evidence"]
    assert len(said["predicate"]["signatures"]) == 2


def test_every_field_changed_without_the_key_is_refused(deployment):
    envelope = json.loads(deployment.warrant)
    statement = json.loads(base64.b64decode(envelope["payload"]))
    paths = list(leaves(statement))
    assert len(paths) > 20
    for path in paths:
        payload = base64.b64encode(canonical.dump(changed(statement, path))).decode()
        refused(deployment, warrant=canonical.dump(envelope | {"payload": payload}).decode())
    for path in leaves(envelope):
        refused(deployment, warrant=canonical.dump(changed(envelope, path)).decode())


@pytest.mark.parametrize("field", BOUND)
def test_a_warrant_for_something_else_is_refused_even_with_the_key(deployment, field):
    statement = changed(opened(deployment), ("predicate", field))
    refused(deployment, f"not warranted: {field} differ", warrant=signed(statement))


def signed(statement):
    return dsse.seal(statement, keys.signer(settings.WARRANT_KEY_FILE))


def test_a_statement_of_another_form_is_refused_even_with_the_key(deployment):
    said = opened(deployment)
    for field in sorted(deployments.FIELDS):
        without = {name: value for name, value in said["predicate"].items() if name != field}
        refused(deployment, "does not say what a warrant says", warrant=signed(said | {"predicate": without}))
    refused(deployment, "does not say", warrant=signed(said | {"predicate": said["predicate"] | {"more": 1}}))
    refused(deployment, "does not say", warrant=signed(said | {"predicate": [1]}))
    for part in ({"predicateType": "https://slsa.dev/provenance/v1"}, {"_type": "x"}, {"subject": []}, {"more": 1}):
        refused(deployment, "statement", warrant=signed(said | part))
    other = [{"name": "fraud v1", "digest": {"sha256": OTHER}}]
    refused(deployment, "statement", warrant=signed(said | {"subject": other}))
    for part in (
        {"signatures": []},
        {"signatures": [OTHER, OTHER]},
        {"signatures": [1]},
        {"evidence": "A" * 64},
        {"evidence": OTHER},
        {"request_digest": None},
        {"results": {}},
    ):
        changed_part = said | {"predicate": said["predicate"] | part}
        refused(deployment, "form of the digests", warrant=signed(changed_part))


def test_every_column_of_the_row_is_warranted(people, deployment):
    others = {
        "id": deployment.pk + 1,
        "request": uuid4(),
        "order": uuid4(),
        "made_by_id": people.ada.pk,
        "made_at": deployment.made_at + timedelta(microseconds=1),
        "model": builders.a_model(people.ada, "other"),
        "package": deployments.current(
            builders.a_champion(people, builders.a_checked_version(people.ada, "third")).model
        ).package,
    }
    assert {Deployment._meta.get_field(name) for name in [*others, "warrant"]} == set(Deployment._meta.get_fields()) - {
        field for field in Deployment._meta.get_fields() if field.auto_created and not field.concrete
    }
    for name, value in others.items():
        row = deployments.current(deployment.model)
        refused(row, "not warranted", **{name: value})
    deployments.verify(deployments.current(deployment.model))


@pytest.mark.parametrize("column", ["bands", "reasons", "fallback", "digest"])
def test_a_package_changed_afterwards_is_refused(deployment, column):
    setattr(deployment.package, column, OTHER if column == "digest" else [])
    refused(deployment, "contents of the package|statement")


@pytest.mark.parametrize("column", ["artifact", "flavour", "schema", "lineage", "metrics", "number", "digest"])
def test_a_version_changed_afterwards_is_refused(deployment, column):
    value = {"digest": OTHER, "number": 9}.get(column, {"other": 1})
    setattr(deployment.package.version, column, value)
    refused(deployment, "manifest of the version")


@pytest.mark.parametrize("column", ["rules", "tier", "number", "digest"])
def test_a_policy_changed_afterwards_is_refused(deployment, column):
    setattr(deployment.package.policy, column, {"rules": {}, "digest": OTHER}.get(column, 9))
    refused(deployment, "rules of the policy")


def test_the_log_alone_shows_that_a_deployment_was_warranted(deployment):
    entry = LedgerEntry.objects.get(event="deployment.made")
    facts = json.loads(bytes(entry.bytes))["facts"]
    assert canonical.sha256(facts["envelope"].encode()) == facts["warrant"]
    said = dsse.unseal(facts["envelope"], deployments.warrant_key())
    assert said["subject"][0]["digest"]["sha256"] == facts["package"]
    for name in ("version", "request", "order", "deployment"):
        assert said["predicate"][name] == facts[name]
    signed_before = [
        ledger.facts_of(row)["signature"] for row in LedgerEntry.objects.filter(event="approval.signed").order_by("id")
    ]
    assert said["predicate"]["signatures"] == signed_before


@pytest.mark.parametrize(("signers", "named"), [(10, True), (16, False)])
def test_many_signatures_fit_in_one_entry(people, signers, named):
    """Where the results of the checks do not fit beside them, their one digest stands for all."""
    group = Group.objects.get(name="risk-analyst")
    crowd = [User(username=f"analyst {n}", password=builders.hashed_password()) for n in range(signers)]
    for user in crowd:
        user.save()
        user.groups.set([group])
    builders.a_policy(people, signatures=[{"role": "risk-analyst", "count": signers}])
    request = builders.a_request(people.ada, builders.a_checked_version(people.ada, "ü" * 60))
    for user in crowd:
        builders.sign(request, user)
    promotion.promote(version=request.package.version, reason="Go.", by=people.olivia, now=builders.now())
    promotion.execute_waiting(builders.now())
    row = deployments.current(request.package.version.model)
    said = deployments.verify(row)
    assert len(said["signatures"]) == signers
    assert ("results" in said) == named
    entry = LedgerEntry.objects.get(event="deployment.made")
    assert ledger.facts_of(entry)["envelope"] == row.warrant
