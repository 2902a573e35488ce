"""Nobody decides alone, and nobody decides about their own work: in Python, and in the database itself."""

import uuid

import pytest
from django.db import IntegrityError, connection, transaction
from django.db.utils import ProgrammingError

from governance import lifecycle, promotion
from governance.models import Order, Signature
from monitoring.models import CheckResult, CheckRun
from registry import policies
from registry.refusals import NotAllowed
from scoring.models import Deployment
from tests import builders


def test_the_author_cannot_sign_their_own_version(people):
    people.ada.groups.add(*people.grace.groups.all())
    request = builders.a_request(people.ada)
    with pytest.raises(NotAllowed, match="four eyes"):
        builders.sign(request, people.ada)
    assert not Signature.objects.exists()


def test_two_distinct_people_in_the_required_roles_must_sign(people):
    request = builders.a_request(people.ada)
    builders.sign(request, people.grace)
    with pytest.raises(NotAllowed, match="distinct people"):
        builders.sign(request, people.grace)
    with pytest.raises(NotAllowed, match="none of the roles that still must sign"):
        builders.sign(request, people.gwen)
    assert lifecycle.facts_of(request.package.version).stage == "requested"
    builders.sign(request, people.alan)
    assert lifecycle.facts_of(request.package.version).stage == "approved"


def test_a_wrong_password_signs_nothing(people):
    request = builders.a_request(people.ada)
    with pytest.raises(NotAllowed, match="password"):
        builders.sign(request, people.grace, password="guess")
    assert not Signature.objects.exists()


def test_a_refusal_ends_the_request(people):
    request = builders.a_request(people.ada)
    builders.sign(request, people.grace, "reject")
    with pytest.raises(NotAllowed, match="rejected"):
        builders.sign(request, people.alan)
    with pytest.raises(NotAllowed, match="rejected"):
        promotion.promote(version=request.package.version, reason="Go.", by=people.olivia, now=builders.now())


def test_nothing_is_promoted_before_everybody_signed(people):
    request = builders.a_request(people.ada)
    builders.sign(request, people.grace)
    with pytest.raises(NotAllowed, match="must be approved"):
        promotion.promote(version=request.package.version, reason="Go.", by=people.olivia, now=builders.now())


def test_a_new_policy_voids_a_request(people):
    version = builders.an_approved_version(people.ada, people.grace, people.alan)
    rules = policies.in_force(1).rules
    policies.adopt(tier=1, rules={**rules, "review_budget": 0.02}, by=people.alan, now=builders.now())
    with pytest.raises(NotAllowed, match="A newer policy is in force than the one this package was judged by"):
        promotion.promote(version=version, reason="Go.", by=people.olivia, now=builders.now())
    assert not Order.objects.exists()


def test_new_evidence_voids_a_request(people):
    version = builders.an_approved_version(people.ada, people.grace, people.alan)
    order = promotion.promote(version=version, reason="Go.", by=people.olivia, now=builders.now())
    more = CheckRun.objects.create(
        version=version, check_name="stress", policy=policies.in_force(1), opened_at=builders.now()
    )
    CheckResult.objects.create(
        run=more,
        verdict="fail",
        reasons=["It does not survive a recession."],
        measurements=[],
        evidence={},
        digest="0" * 64,
        performed_at=builders.now(),
        seconds=1,
    )
    promotion.execute_waiting(builders.now())
    assert "needed it approved" in order.refusal.reason
    assert not Deployment.objects.exists()
    with pytest.raises(NotAllowed, match="The evidence changed after this request was made, which voids it"):
        promotion.promote(version=version, reason="Go.", by=people.olivia, now=builders.now())
    request = lifecycle.newest_request(version)
    with pytest.raises(NotAllowed, match="The evidence changed"):
        builders.sign(request, people.gwen)


def deployment_of(version, request, people):
    return Deployment(
        model=version.model,
        package=request.package,
        request=request.pk,
        order=uuid.uuid4(),
        warrant="{}",
        made_by=people.olivia,
        made_at=builders.now(),
    )


def test_the_database_refuses_an_unsigned_deployment_even_to_its_owner(people):
    request = builders.a_request(people.ada)
    builders.sign(request, people.grace)
    version = request.package.version
    order = lifecycle.Order.objects.create(
        request=request, kind="promote", reason="-", ordered_by=people.olivia, ordered_at=builders.now()
    )
    deployment = deployment_of(version, request, people)
    deployment.order = order.pk
    with pytest.raises(IntegrityError, match="0 of 1 signatures by role risk-lead"), transaction.atomic():
        deployment.save(force_insert=True)
    assert not Deployment.objects.exists()


@pytest.mark.parametrize("role", ["countersign_app", "countersign_scoring", "countersign_sequencer"])
def test_only_the_governor_may_insert_deployments_at_all(people, role):
    request = builders.a_request(people.ada)
    with pytest.raises(ProgrammingError, match="permission denied"), transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(f"SET LOCAL ROLE {role}")
        deployment_of(request.package.version, request, people).save(force_insert=True)


def test_the_database_refuses_a_signature_by_the_author(people):
    request = builders.a_request(people.ada)
    people.ada.groups.add(*people.grace.groups.all())
    forged = Signature(
        request=request,
        signer=people.ada,
        role="risk-analyst",
        outcome="approve",
        meaning="-",
        reason="-",
        digest=request.digest,
        signed_at=builders.now(),
    )
    with pytest.raises(IntegrityError, match="author and the requester cannot sign"), transaction.atomic():
        forged.save(force_insert=True)


def test_the_champion_is_what_was_signed(people):
    version = builders.a_champion(people)
    assert lifecycle.facts_of(version).stage == "champion"
    decision = builders.a_decision(people)
    assert decision.deployment.package.version == version
