"""What scoring enters in the ledger."""

from enum import StrEnum


class Event(StrEnum):
    """Events of deployments, decisions and outcomes."""

    DEPLOYMENT_MADE = "deployment.made"
    DEPLOYMENT_REFUSED = "deployment.refused"
    DECISION_ANSWERED = "decision.answered"
    JOURNAL_DRAINED = "journal.drained"
    DECISION_EXPLAINED = "decision.explained"
    DECISION_REPLAYED = "decision.replayed"
    REPLAY_REQUESTED = "replay.requested"
    OUTCOME_RECORDED = "outcome.recorded"
    OVERRIDE_RECORDED = "override.recorded"
    ENVIRONMENT_SEEN = "environment.seen"
