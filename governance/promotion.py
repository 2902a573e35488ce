"""Order that an approved request be executed, or that an earlier one return; the governor's part executes orders."""

from datetime import datetime

from django.db import IntegrityError, transaction

from governance import lifecycle, warrants
from governance.events import Event
from governance.models import ApprovalRequest, Order, OrderRefusal
from governance.workflow import Stage
from registry import ledger, locks
from registry.models import ModelVersion, User
from registry.refusals import Invalid, Refusal, Unknown
from scoring import deployments
from scoring.models import Deployment


def promote(*, version: ModelVersion, reason: str, by: User, now: datetime) -> Order:
    """Order that the approved package of a version become champion."""
    return _order("promote", version=version, reason=reason, by=by, now=now)


def roll_back(*, version: ModelVersion, reason: str, by: User, now: datetime) -> Order:
    """Order that a package which served before serve again, under the signatures it had."""
    return _order("roll back", version=version, reason=reason, by=by, now=now)


def _order(kind: str, *, version: ModelVersion, reason: str, by: User, now: datetime) -> Order:
    if not isinstance(reason, str) or not reason.strip() or "\0" in reason or len(reason) > 2000:
        raise Invalid("Give a reason of at most 2,000 characters: it is kept in the audit trail.")
    with transaction.atomic():
        locks.hold(f"model:{version.model_id}")
        lifecycle.demand(kind, version, by)
        request = _last_served(version) if kind == "roll back" else lifecycle.newest_request(version)
        if request is None:
            raise Unknown(f"Nobody asked for approval of {version}.")
        order = Order.objects.create(request=request, kind=kind, reason=reason.strip(), ordered_by=by, ordered_at=now)
        facts = {"order": str(order.id), "request": str(order.request_id), "kind": kind}
        ledger.append(Event.DEPLOYMENT_ORDERED, subject=f"version:{version.id}", actor=by.actor, at=now, facts=facts)
    return order


def _last_served(version: ModelVersion) -> ApprovalRequest:
    deployment = Deployment.objects.filter(package__version=version).order_by("-id").first()
    if deployment is None:
        raise Unknown(f"{version} never served.")
    return ApprovalRequest.objects.get(pk=deployment.request)


def execute_waiting(now: datetime) -> int:
    """Execute every waiting order (in the governor's process alone); return how many were seen."""
    waiting = list(
        lifecycle.waiting_orders()
        .select_related("request__package__version__model", "request__package__policy", "ordered_by")
        .defer("ordered_by__password")
    )
    for order in waiting:
        _execute(order, now)
    return len(waiting)


def _execute(order: Order, now: datetime) -> None:
    version = order.request.package.version
    try:
        with transaction.atomic():
            locks.hold(f"model:{version.model_id}")
            if Deployment.objects.filter(order=order.pk).exists():
                return
            _still_lawful(order)
            number = deployments.next_number()
            deployments.deploy(
                number=number,
                package=order.request.package,
                request=order.request_id,
                order=order.pk,
                warrant=warrants.issue(order=order, number=number, now=now),
                by=order.ordered_by,
                now=now,
            )
    except Refusal as refusal:
        _refuse(order, refusal.detail, now)
    except IntegrityError as error:
        _refuse(order, f"The database refused: {str(error).splitlines()[0]}"[:500], now)


def _still_lawful(order: Order) -> None:
    """Ask again what the order asked, since the world may have moved between order and execution."""
    newest = lifecycle.newest_request(order.request.package.version)
    if order.kind == "promote" and newest != order.request:
        raise Invalid("A newer request about this version exists, which voids the one that was ordered.")
    facts = lifecycle.facts_of(order.request.package.version)
    if order.kind == "promote" and facts.stage != Stage.APPROVED:
        raise Invalid(f"The version is {facts.stage} by now; the order needed it approved.")
    if order.kind != "promote" and (facts.serving or not facts.served_before):
        raise Invalid("The version serves already, or never served; there is nothing to go back to.")


def _refuse(order: Order, reason: str, now: datetime) -> None:
    with transaction.atomic():
        OrderRefusal.objects.create(order=order, reason=reason, refused_at=now)
        subject = f"version:{order.request.package.version_id}"
        facts = {"order": str(order.id), "reason": reason}
        ledger.append(Event.ORDER_REFUSED, subject=subject, actor="service:governor", at=now, facts=facts)
