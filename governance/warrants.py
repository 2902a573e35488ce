"""The governor's warrant: an in-toto statement in a DSSE envelope that lets servers load one package for one order."""

from datetime import UTC, datetime
from typing import Any

from django.conf import settings

from governance import approvals
from governance.models import Order
from monitoring import runs
from registry import canonical, dsse, keys
from scoring import deployments

LARGEST = 3200  # bytes: with more, the ledger's entry of the deployment would exceed its 4 KiB


def issue(*, order: Order, number: int, now: datetime) -> str:
    """Return the signed warrant for the deployment of this number; `deployments.FIELDS` says what it holds.

    Everything large is named by its digest. The results of the checks are named one by one where they fit; they always
    stand behind `evidence`, which is the digest over them.
    """
    request = order.request
    said = {
        "deployment": number,
        "model": request.package.version.model.name,
        "version": request.package.version.digest,
        "policy": request.package.policy.digest,
        "evidence": request.evidence,
        "request": str(request.id),
        "request_digest": request.digest,
        "signatures": [
            canonical.digest(approvals.signature_record(signature))
            for signature in request.signatures.order_by("signed_at")
        ],
        "order": str(order.id),
        "ordered_by": order.ordered_by.actor,
        "plan": request.plan,
        "issued_at": now.astimezone(UTC).isoformat(),
    }
    full = _seal(order, {**said, "results": _results(order)})
    return full if len(full) <= LARGEST else _seal(order, said)


def _results(order: Order) -> dict[str, str]:
    """Return the digest of each check's result that the request's evidence is over."""
    package = order.request.package
    return {name: row.digest for name, row in runs.results(package.version, package.policy).items()}


def _seal(order: Order, predicate: dict[str, Any]) -> str:
    statement = deployments.statement(package=order.request.package, predicate=predicate)
    return dsse.seal(statement, keys.signer(settings.WARRANT_KEY_FILE))
