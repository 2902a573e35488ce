"""What governance enters in the ledger."""

from enum import StrEnum


class Event(StrEnum):
    """Events of roles, requests, signatures, orders, cases, dossiers and webhooks."""

    ROLE_CHANGED = "role.changed"
    APPROVAL_REQUESTED = "approval.requested"
    APPROVAL_SIGNED = "approval.signed"
    APPROVAL_REFUSED = "approval.refused"
    DEPLOYMENT_ORDERED = "deployment.ordered"
    ORDER_REFUSED = "order.refused"
    CASE_OPENED = "case.opened"
    CASE_ENDED = "case.ended"
    DOSSIER_ISSUED = "dossier.issued"
    WEBHOOK_MADE = "webhook.made"
    WEBHOOK_CHANGED = "webhook.changed"
    WEBHOOK_REMOVED = "webhook.removed"
    DELIVERY_REQUESTED = "delivery.requested"
