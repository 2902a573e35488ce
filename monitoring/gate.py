"""The gate of a version: every line of its policy held against what was measured, and whether all together let it pass.

A line is named as a JSON pointer (RFC 6901) into the policy's rules, so that whoever was refused finds the very number.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from monitoring import demands, runs, verdicts
from monitoring.measurement import Measurement
from monitoring.models import CheckRun
from registry.models import ModelVersion, Policy

PASSES = (verdicts.PASS, verdicts.WARN)
DONE, RUNNING, WAITING, UNOPENED = "done", "running", "waiting", "unopened"


def of(version: ModelVersion, policy: Policy, now: datetime) -> dict[str, Any]:
    """Return the gate of a version under a policy as it stands."""
    results = runs.results(version, policy)
    opened = set(CheckRun.objects.filter(version=version, policy=policy).values_list("check_name", flat=True))
    running = runs.running(version, policy, now)
    checks = []
    for name in demands.names(version.artifact, policy.rules):
        if result := results.get(name):
            done = judged(name, policy.rules, result.verdict, result.reasons, result.measurements)
            checks.append({**done, "seconds": result.seconds, "result": result.digest})
        else:
            state = RUNNING if name in running else WAITING if name in opened else UNOPENED
            checks.append({"check": name, "state": state, "verdict": None, "reasons": [], "lines": []})
    return joined(checks)


def joined(checks: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return what checks say together: the gate is passed when each is done and passes or warns."""
    verdict = verdicts.worst([check["verdict"] or verdicts.INSUFFICIENT for check in checks])
    done = all(check["state"] == DONE for check in checks)
    return {"done": done, "passed": done and verdict in PASSES, "verdict": verdict, "checks": list(checks)}


def judged(
    name: str, rules: Mapping[str, Any], verdict: str, reasons: Sequence[str], measurements: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """Return a check that is done with its lines; one that measured nothing has its reasons alone."""
    limits = demands.limits(rules, name)
    found = lines(["checks", name], limits, measurements) if measurements else []
    return {"check": name, "state": DONE, "verdict": verdict, "reasons": list(reasons), "lines": found}


def lines(
    place: Sequence[str], limits: Mapping[str, Mapping[str, float]], measurements: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """Return limits held against measurements as JSON, each with the pointer of its line; `place`: where limits are."""
    found = verdicts.lines([Measurement(**item) for item in measurements], limits)
    return [
        {**line._asdict(), "line": pointer(*place, line.name, *filter(None, [line.bound])), "limit": limits[line.name]}
        for line in found
    ]


def pointer(*parts: str) -> str:
    """Return the JSON pointer to a part of a policy's rules."""
    return "".join("/" + part.replace("~", "~0").replace("/", "~1") for part in parts)
