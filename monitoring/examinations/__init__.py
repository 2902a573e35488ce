"""The checks of a candidate: one module each, named as the policy names the check, and one line each in this table.

Light: a worker imports only the modules of its own queue, and the others only know that they exist.
"""

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

from monitoring.measurement import Measured
from registry.refusals import Invalid

# name → the queue that performs it; evidently wants a process of its own, every other check shares one
CHECKS: Mapping[str, str] = {
    "performance": "checks",
    "bias": "checks",
    "consistency": "checks",
    "signing": "checks",
    "safety": "checks",
    "drift": "drift",
}

Measure = Callable[[Any, Mapping[str, Any]], Measured]


def queue_of(check: str) -> str:
    """Return the queue that performs a check; one that nobody knows is answered by the first."""
    return CHECKS.get(check, "checks")


def measure_of(check: str) -> Measure:
    """Return what measures a candidate under a policy's rules."""
    measure: Measure = import_module(f"{__name__}.{check}").measure
    return measure


def load(queue: str) -> list[Measure]:
    """Import the checks of a queue: once, before its worker forks."""
    return [measure_of(check) for check, performed_by in CHECKS.items() if performed_by == queue]


def parameters(rules: Mapping[str, Any], check: str, *names: str) -> dict[str, float]:
    """Return the parameters that a check needs of a policy; Invalid names what it lacks."""
    held = rules.get("parameters", {}).get(check, {})
    lacking = [name for name in names if name not in held]
    if lacking:
        raise Invalid(f"The policy sets no {', '.join(lacking)} for {check}. Adopt one that does (part `parameters`).")
    return {name: held[name] for name in names}
