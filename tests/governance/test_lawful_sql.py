"""The law of four eyes against raw SQL: what a web or governor process in foreign hands could try in its own role."""

import uuid
from contextlib import contextmanager

import pytest
from django.db import IntegrityError, connection, transaction

from governance import promotion
from governance.models import ApprovalRequest, Order, OrderRefusal, Signature
from governance.privileges import APP, GOVERNOR
from monitoring.models import CheckResult, CheckRun
from registry import policies
from registry.models import Package, User
from registry.refusals import NotAllowed
from scoring.models import Deployment
from tests import builders


@contextmanager
def as_role(role):
    """Act in a role of the database until the end of this block."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"SET LOCAL ROLE {role}")
        yield
        cursor.execute("RESET ROLE")


def sign(request, by, role, outcome="approve", digest=None):
    with as_role(APP):
        Signature.objects.create(
            request=request,
            signer=by,
            role=role,
            outcome=outcome,
            meaning="-",
            reason="-",
            digest=digest or request.digest,
            signed_at=builders.now(),
        )


def order(request, by, kind="promote"):
    with as_role(APP):
        return Order.objects.create(request=request, kind=kind, reason="-", ordered_by=by, ordered_at=builders.now())


def deploy(ordered, **changes):
    request = ordered.request
    given = {"model": request.package.version.model, "package": request.package, "request": request.pk}
    given |= {"order": ordered.pk, "warrant": "{}", "made_by": ordered.ordered_by, "made_at": builders.now()}
    with as_role(GOVERNOR):
        Deployment.objects.create(**given | changes)


def signature_refused(words, request, *given, **more):
    before = Signature.objects.count()
    with pytest.raises(IntegrityError, match=words):
        sign(request, *given, **more)
    assert Signature.objects.count() == before


def deployment_refused(words, ordered, **changes):
    before = Deployment.objects.count()
    with pytest.raises(IntegrityError, match=words):
        deploy(ordered, **changes)
    assert Deployment.objects.count() == before


@pytest.fixture
def request_(people):
    return builders.a_request(people.ada)


@pytest.fixture
def approved(people, request_):
    """A request that everybody signed, as lawfully by raw SQL as by the pages."""
    sign(request_, people.grace, "risk-analyst")
    sign(request_, people.alan, "risk-lead")
    return request_


def again(request, people, **changes):
    """The same request once more, by raw SQL."""
    given = {name: getattr(request, name) for name in ("package", "evidence", "plan", "reason", "digest")}
    given |= {"requested_by": people.ada, "requested_at": builders.now()}
    with as_role(APP):
        return ApprovalRequest.objects.create(**given | changes)


def other_results(request):
    """A check of the version that is performed after the request was made."""
    package = request.package
    with as_role(APP):
        run = CheckRun.objects.create(
            version=package.version, check_name="stress", policy=package.policy, opened_at=builders.now()
        )
        CheckResult.objects.create(
            run=run,
            verdict="fail",
            reasons=[],
            measurements=[],
            evidence={},
            digest="0" * 64,
            performed_at=builders.now(),
            seconds=1,
        )


def test_what_is_lawful_is_taken_in_raw_sql_too(people, approved):
    deploy(order(approved, people.olivia))
    assert Deployment.objects.get().request == approved.pk


# Signatures


def test_a_signature_needs_a_person_who_is_active_and_holds_the_role(people, request_):
    signature_refused("does not hold the role risk-lead", request_, people.grace, "risk-lead")
    people.grace.is_active = False
    people.grace.save()
    signature_refused("no longer active", request_, people.grace, "risk-analyst")


def test_a_signature_in_a_role_that_nobody_asked_for_neither_counts_nor_stops_anything(people, request_):
    signature_refused("demands none of role operator", request_, people.olivia, "operator", outcome="reject")


def test_author_and_requester_do_not_sign(people, request_):
    people.ada.groups.add(*people.grace.groups.all())
    signature_refused("author and the requester cannot sign", request_, people.ada, "risk-analyst")
    asked_by_grace = again(request_, people, requested_by=people.grace)
    signature_refused("author and the requester cannot sign", asked_by_grace, people.grace, "risk-analyst")


def test_one_person_signs_once_however_many_roles_they_hold(people, request_):
    people.alan.groups.add(*people.grace.groups.all())
    sign(request_, people.alan, "risk-lead")
    signature_refused("one_signature_per_person", request_, people.alan, "risk-analyst")


def test_a_signature_is_over_the_request_s_own_digest(people, request_):
    signature_refused("another digest", request_, people.grace, "risk-analyst", digest="0" * 64)


def test_what_is_void_is_not_signed(people, request_):
    newer = again(request_, people)
    signature_refused("newer request about this version voids it", request_, people.grace, "risk-analyst")
    other_results(newer)
    signature_refused("evidence changed since", newer, people.grace, "risk-analyst")


def test_a_request_under_an_older_policy_is_not_signed(people, request_):
    builders.a_policy(people, review_budget=0.02)
    signature_refused("its policy is not the one in force", request_, people.grace, "risk-analyst")


def test_a_request_under_the_laxer_policy_of_another_tier_is_not_signed(people, request_):
    package = request_.package
    with as_role(APP):
        lax = Package.objects.create(
            version=package.version,
            policy=policies.in_force(3),
            bands=package.bands,
            reasons=package.reasons,
            fallback=package.fallback,
            digest="3" * 64,
            assembled_by=people.ada,
            assembled_at=builders.now(),
        )
    signature_refused("not the one in force", again(request_, people, package=lax), people.grace, "risk-analyst")


def test_a_table_of_one_s_own_is_not_taken_for_ours(people, request_):
    with pytest.raises(IntegrityError, match="does not hold the role"), transaction.atomic():
        with connection.cursor() as cursor:  # a test database lets everybody make temporary tables
            cursor.execute("CREATE TEMP TABLE registry_user_groups AS SELECT * FROM public.registry_user_groups")
            cursor.execute("UPDATE registry_user_groups SET user_id = %s", [people.grace.pk])
            cursor.execute(f"GRANT SELECT ON registry_user_groups TO {APP}")
        sign(request_, people.grace, "risk-lead")


# Orders


def test_only_who_may_promote_orders(people, approved):
    for who in (people.grace, people.alan, people.ada, people.engine):
        with pytest.raises(IntegrityError, match="holds no role that may"):
            order(approved, who)
    people.olivia.is_active = False
    people.olivia.save()
    with pytest.raises(IntegrityError, match="no longer active"):
        order(approved, people.olivia)
    assert not Order.objects.exists()


def test_an_order_is_to_promote_or_to_roll_back(people, approved):
    with pytest.raises(IntegrityError, match="neither to promote nor to roll back"):
        order(approved, people.olivia, "hurry")
    assert not Order.objects.exists()


def test_nobody_is_added_above_the_roles(people):
    with pytest.raises(IntegrityError, match="nobody_is_above_the_roles"), as_role(APP):
        User.objects.create(username="root", is_superuser=True, date_joined=builders.now())
    assert not User.objects.filter(username="root").exists()


# Deployments, as the governor's role


def test_who_registered_or_asked_for_it_does_not_order_it(people, approved):
    people.ada.groups.add(*people.olivia.groups.all())
    with pytest.raises(NotAllowed, match="four eyes"):
        promotion.promote(version=approved.package.version, reason="Go.", by=people.ada, now=builders.now())
    deployment_refused("author and the requester cannot order it", order(approved, people.ada))


def test_an_order_counts_once_and_for_its_own_request_and_person(people, approved):
    ordered = order(approved, people.olivia)
    deployment_refused("nobody ordered it", ordered, order=uuid.uuid4())
    deployment_refused("nobody ordered it", ordered, made_by=people.grace)
    other = builders.a_request(people.ada, builders.a_checked_version(people.ada, "other"))
    deployment_refused(
        "nobody ordered it", ordered, request=other.pk, package=other.package, model=other.package.version.model
    )
    deployment_refused("no request for this package of this model", ordered, model=other.package.version.model)
    with as_role(GOVERNOR):
        OrderRefusal.objects.create(order=ordered, reason="-", refused_at=builders.now())
    deployment_refused("nobody ordered it", ordered)


def test_what_is_void_is_not_deployed(people, approved):
    ordered = order(approved, people.olivia)
    other_results(approved)
    deployment_refused("evidence changed since", ordered)
    again(approved, people)
    deployment_refused("newer request about this version voids it", ordered)


def test_what_was_signed_under_an_older_policy_is_not_deployed(people, approved):
    ordered = order(approved, people.olivia)
    builders.a_policy(people, review_budget=0.02)
    deployment_refused("its policy is not the one in force", ordered)


def test_a_request_is_executed_once(people, approved):
    deploy(order(approved, people.olivia))
    deployment_refused("the request was executed", order(approved, people.olivia))


def test_nothing_goes_back_to_what_never_served(people, approved):
    deployment_refused("nothing to go back to", order(approved, people.olivia, "roll back"))


def test_what_served_serves_again_under_its_own_signatures(people, approved):
    deploy(order(approved, people.olivia))
    builders.a_policy(people, review_budget=0.02)
    deploy(order(approved, people.olivia, "roll back"))
    assert Deployment.objects.count() == 2


def test_a_policy_that_names_a_role_twice_asks_for_as_many_people(people):
    twice = [{"role": "risk-lead", "count": 1}, {"role": "risk-lead", "count": 1}]
    builders.a_policy(people, signatures=twice)
    request = builders.a_request(people.ada)
    sign(request, people.alan, "risk-lead")
    deployment_refused("1 of 2 signatures by role risk-lead", order(request, people.olivia))
