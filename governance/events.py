"""What governance enters in the ledger."""

from enum import StrEnum


class Event(StrEnum):
    """Events of roles, requests, signatures, orders, cases and dossiers."""

    ROLE_CHANGED = "role.changed"
    APPROVAL_REQUESTED = "approval.requested"
    APPROVAL_SIGNED = "approval.signed"
    APPROVAL_REFUSED = "approval.refused"
    DEPLOYMENT_ORDERED = "deployment.ordered"
    ORDER_REFUSED = "order.refused"
    CASE_OPENED = "case.opened"
    CASE_ENDED = "case.ended"
    DOSSIER_ISSUED = "dossier.issued"
