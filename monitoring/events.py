"""What monitoring enters in the ledger."""

from enum import StrEnum


class Event(StrEnum):
    """Events of checks, monitors and alerts."""

    CHECK_PERFORMED = "check.performed"
    MONITOR_PERFORMED = "monitor.performed"
    ALERT_RAISED = "alert.raised"
    ALERT_ANSWERED = "alert.answered"
