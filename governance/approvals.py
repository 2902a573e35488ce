"""Ask for approval of a package; sign or refuse it, bound to exact digests."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from django.db import transaction

from governance import lifecycle
from governance.events import Event
from governance.models import ApprovalRequest, Signature
from monitoring import runs
from registry import canonical, ledger, locks, packages, people
from registry.models import ModelVersion, User
from registry.models.people import actor
from registry.refusals import Invalid, NotAllowed

MEANINGS = {
    "approve": "I reviewed the evidence and approve that this package decides",
    "reject": "I reviewed the evidence and refuse that this package decides",
}
PLAN = {"kind": "champion", "share": 1}


def request(
    *,
    version: ModelVersion,
    bands: Sequence[Mapping[str, Any]],
    reason: str,
    by: User,
    now: datetime,
    reasons: Mapping[str, Mapping[str, Any]] | None = None,
    fallback: Mapping[str, Any] | None = None,
) -> ApprovalRequest:
    """Assemble a package around a version and ask that it become champion."""
    _said(reason)
    with transaction.atomic():
        locks.hold(f"model:{version.model_id}")
        lifecycle.demand("request", version, by)
        package = packages.assemble(version=version, bands=bands, reasons=reasons, fallback=fallback, by=by, now=now)
        made = ApprovalRequest(
            package=package,
            evidence=runs.evidence_digest(version, package.policy),
            plan=PLAN,
            reason=reason.strip(),
            requested_by=by,
            requested_at=now,
        )
        made.digest = canonical.digest(record(made))
        made.save(force_insert=True)
        facts = {"request": str(made.id), "digest": made.digest, "package": package.digest}
        ledger.append(Event.APPROVAL_REQUESTED, subject=f"version:{version.id}", actor=by.actor, at=now, facts=facts)
    return made


def record(request: ApprovalRequest) -> dict[str, Any]:
    """Return what a request's digest is computed over: everything a signature binds."""
    return {
        "id": str(request.id),
        "package": request.package.digest,
        "policy": request.package.policy.digest,
        "evidence": request.evidence,
        "plan": request.plan,
        "requester": actor(request.requested_by_id),
    }


def sign(
    *,
    request: ApprovalRequest,
    outcome: str,
    meaning: str,
    reason: str,
    password: str,
    by: User,
    now: datetime,
) -> Signature:
    """Sign or refuse a request: password asked again, meaning and reason given, bound to the request's digest."""
    _said(reason)
    if not isinstance(outcome, str) or not isinstance(password, str):
        raise Invalid("outcome and password are texts.")
    if meaning != MEANINGS.get(outcome):
        meanings = "; ".join(f"{name}: {text!r}" for name, text in MEANINGS.items())
        raise Invalid(f"Choose an outcome and the meaning that belongs to it ({meanings}).")
    version = request.package.version
    people.demand_password(user=by, password=password, source="signing", now=now)
    with transaction.atomic():
        locks.hold(f"model:{version.model_id}")
        if lifecycle.newest_request(version) != request:
            raise NotAllowed("A newer request about this version exists, which voids this one. Sign that one.")
        facts = lifecycle.demand("sign", version, by)
        role = next(role for role in facts.outstanding if role in lifecycle.person(by).roles)
        made = Signature(
            request=request,
            signer=by,
            role=role,
            outcome=outcome,
            meaning=meaning,
            reason=reason.strip(),
            digest=request.digest,
            signed_at=now,
        )
        made.save(force_insert=True)
        event = Event.APPROVAL_SIGNED if outcome == "approve" else Event.APPROVAL_REFUSED
        facts_entered = {"request": str(request.id), "signature": canonical.digest(signature_record(made))}
        ledger.append(event, subject=f"version:{version.id}", actor=by.actor, at=now, facts=facts_entered)
    return made


def signature_record(signature: Signature) -> dict[str, Any]:
    """Return what a signature's digest is computed over."""
    return {
        "request": str(signature.request_id),
        "digest": signature.digest,
        "signer": actor(signature.signer_id),
        "role": signature.role,
        "outcome": signature.outcome,
        "meaning": signature.meaning,
        "reason": signature.reason,
        "signed_at": signature.signed_at.isoformat(),
    }


def _said(reason: str) -> None:
    if not isinstance(reason, str) or not reason.strip() or "\0" in reason or len(reason) > 2000:
        raise Invalid("Give a reason of at most 2,000 characters: it is kept in the audit trail.")
