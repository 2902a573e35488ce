"""Gather the facts that the workflow asks for; raise its reasons."""

from dataclasses import replace

from django.db.models import Exists, OuterRef, QuerySet

from governance.models import ApprovalRequest, Order
from governance.workflow import Facts, Person, Signed, Stage, reasons_against
from monitoring import runs, verdicts
from registry import people, policies
from registry.models import ModelVersion, RegisteredModel, User
from registry.refusals import NotAllowed
from scoring import deployments
from scoring.models import Deployment


def person(user: User) -> Person:
    """Return what the rules need to know of somebody."""
    return Person(
        user.pk,
        user.get_full_name() or user.username,
        frozenset(people.roles_of(user)),
        frozenset(user.get_all_permissions()),
    )


def newest_request(version: ModelVersion) -> ApprovalRequest | None:
    """Return the newest request about a version."""
    rows = ApprovalRequest.objects.filter(package__version=version).select_related("package__policy", "requested_by")
    return rows.order_by("-requested_at", "-id").first()


def facts_of(version: ModelVersion) -> Facts:
    """Gather the facts about a version: a fixed handful of queries."""
    policy = policies.in_force(version.model.tier)
    results = runs.results(version, policy)  # read once: between two readings a check may be done
    request = newest_request(version)
    current = deployments.current(version.model)
    signatures = tuple(
        Signed(row.signer_id, row.role, row.outcome) for row in (request.signatures.all() if request else ())
    )
    demanded = request.package.policy.rules["signatures"] if request else policy.rules["signatures"]
    facts = Facts(
        stage=Stage.REGISTERED,
        author=version.registered_by_id,
        verdict=runs.joined(results, policy),
        checks_done=set(policy.rules["checks"]) <= set(results),
        requester=request.requested_by_id if request else None,
        signatures=signatures,
        demanded=tuple((need["role"], need["count"]) for need in demanded),
        evidence_unchanged=not request or request.evidence == runs.evidence_digest(version, request.package.policy),
        policy_in_force=not request or request.package.policy_id == policy.pk,
        order_pending=pending_order(version.model),
        serving=bool(current and current.package.version_id == version.pk),
        served_before=Deployment.objects.filter(package__version=version).exists(),
    )
    return replace(facts, stage=_stage(version, request, facts))


def _stage(version: ModelVersion, request: ApprovalRequest | None, facts: Facts) -> Stage:
    if version.unservable:
        return Stage.UNSERVABLE
    executed = request and Deployment.objects.filter(request=request.pk).exists()
    if request and not executed and facts.evidence_unchanged and facts.policy_in_force:
        asked = _request_stage(facts)
        if asked != Stage.REJECTED or not facts.served_before:
            return asked
    if facts.serving:
        return Stage.CHAMPION
    if facts.served_before:
        return Stage.SUPERSEDED
    if facts.verdict in (verdicts.PASS, verdicts.WARN):
        return Stage.CHECKED
    return Stage.BLOCKED if facts.checks_done else Stage.REGISTERED


def _request_stage(facts: Facts) -> Stage:
    if any(signature.outcome == "reject" for signature in facts.signatures):
        return Stage.REJECTED
    return Stage.REQUESTED if facts.outstanding else Stage.APPROVED


def pending_order(model: RegisteredModel) -> bool:
    """Say whether the governor still has an order of this model to execute."""
    return waiting_orders().filter(request__package__version__model=model).exists()


def waiting_orders() -> QuerySet[Order]:
    """Return the orders that were neither executed nor refused."""
    done = Exists(Deployment.objects.filter(order=OuterRef("pk")))
    return Order.objects.filter(~done, refusal=None).order_by("ordered_at")


def demand(action: str, version: ModelVersion, by: User) -> Facts:
    """Return the facts if this person can do this now; NotAllowed lists every reason against."""
    facts = facts_of(version)
    reasons = reasons_against(action, facts, person(by))
    if reasons:
        raise NotAllowed(" ".join(reasons), reasons=[{"detail": reason} for reason in reasons])
    return facts
