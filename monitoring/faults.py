"""What a fault says: something about what was to be measured, or only that the machine was not there to measure it."""

from django.db import InterfaceError, OperationalError

from monitoring import verdicts
from registry.refusals import Mismatch, Refusal, Unavailable

# The database was lost, the store was not reachable, memory ran out. Nothing is known then: it is tried again.
INTERRUPTIONS = (OperationalError, InterfaceError, OSError, MemoryError, Unavailable)


def verdict_of(fault: Exception, what: str) -> tuple[str, str]:
    """Return the verdict on something that could not be measured, and the reason: never a pass."""
    if isinstance(fault, Mismatch):
        return verdicts.FAIL, fault.detail
    if isinstance(fault, Refusal):
        return verdicts.INSUFFICIENT, fault.detail
    return verdicts.ERROR, f"The {what} broke: {type(fault).__name__}. See the worker's log."
