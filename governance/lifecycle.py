"""Gather the facts that the workflow asks for; raise its reasons."""

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any
from uuid import UUID

from django.db.models import Exists, OuterRef, QuerySet

from governance.models import ApprovalRequest, Order
from governance.workflow import Facts, Person, Signed, Stage, reasons_against
from monitoring import demands, runs, verdicts
from monitoring.models import CheckResult
from registry import people, policies
from registry.models import ModelVersion, Policy, RegisteredModel, User
from registry.refusals import NotAllowed
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
    return rows.defer("requested_by__password").order_by("-requested_at", "-id").first()


def facts_of(version: ModelVersion) -> Facts:
    """Gather the facts about a version."""
    return facts_of_all([version])[version.pk]


def facts_of_all(versions: Collection[ModelVersion]) -> dict[UUID, Facts]:
    """Gather the facts about versions, by their identifiers: a fixed handful of queries however many they are."""
    models = {version.model_id for version in versions}
    policies_in_force = {tier: policies.in_force(tier) for tier in {version.model.tier for version in versions}}
    results = runs.results_of(versions)  # read once: between two readings a check may be done
    requests = _newest_requests(versions)
    made = Deployment.objects.filter(model__in=models)
    serving = set(made.order_by("model_id", "-id").distinct("model_id").values_list("package__version", flat=True))
    served = set(made.filter(package__version__in=versions).values_list("package__version", flat=True))
    executed = set(made.filter(request__in=[row.pk for row in requests.values()]).values_list("request", flat=True))
    ordered = waiting_orders().filter(request__package__version__model__in=models)
    busy = set(ordered.values_list("request__package__version__model", flat=True))
    found = {}
    for version in versions:
        policy, request = policies_in_force[version.model.tier], requests.get(version.pk)
        mine, demanded = results.get((version.pk, policy.pk), {}), demands.names(version.artifact, policy.rules)
        facts = Facts(
            stage=Stage.REGISTERED,
            author=version.registered_by_id,
            verdict=runs.joined(mine, demanded),
            checks_done=set(demanded) <= set(mine),
            order_pending=version.model_id in busy,
            serving=version.pk in serving,
            served_before=version.pk in served,
            demanded=_demanded(request.package.policy if request else policy),
        )
        if request:
            facts = _with_request(facts, request, policy, results)
        found[version.pk] = replace(
            facts, stage=_stage(version, request, facts, executed=bool(request and request.pk in executed))
        )
    return found


def _with_request(
    facts: Facts, request: ApprovalRequest, policy: Policy, results: Mapping[Any, Mapping[str, CheckResult]]
) -> Facts:
    """Add the facts about a request: it is judged by the policy that it was made under."""
    judged_by = request.package.policy
    evidence = results.get((request.package.version_id, judged_by.pk), {})
    return replace(
        facts,
        requester=request.requested_by_id,
        signatures=tuple(Signed(row.signer_id, row.role, row.outcome) for row in request.signatures.all()),
        evidence_unchanged=request.evidence == runs.digest_of(evidence),
        policy_in_force=judged_by == policy,
    )


def _demanded(policy: Policy) -> tuple[tuple[str, int], ...]:
    return tuple((need["role"], need["count"]) for need in policy.rules["signatures"])


def _newest_requests(versions: Collection[ModelVersion]) -> dict[UUID, ApprovalRequest]:
    rows = ApprovalRequest.objects.filter(package__version__in=versions).select_related("package__policy")
    newest = rows.order_by("package__version", "-requested_at", "-id").distinct("package__version")
    return {row.package.version_id: row for row in newest.prefetch_related("signatures")}


def _stage(version: ModelVersion, request: ApprovalRequest | None, facts: Facts, *, executed: bool) -> Stage:
    if version.unservable:
        return Stage.UNSERVABLE
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
