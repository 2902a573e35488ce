"""What scoring enters in the ledger."""

from enum import StrEnum


class Event(StrEnum):
    """Events of deployments, decisions and outcomes."""

    DEPLOYMENT_MADE = "deployment.made"
    DEPLOYMENT_REFUSED = "deployment.refused"
    DECISION_ANSWERED = "decision.answered"
    JOURNAL_DRAINED = "journal.drained"
    OUTCOME_RECORDED = "outcome.recorded"
