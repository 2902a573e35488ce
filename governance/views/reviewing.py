"""What the page of a version shows: facts, evidence beside the champion's, who signed, what may be done now."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from governance import card, graph, lifecycle
from governance.models import ApprovalRequest, Order
from governance.views.cards import code
from governance.views.lineage import drawn
from governance.workflow import ACTIONS, Facts, Stage, reasons_against
from monitoring import demands, pictures, runs
from monitoring.models import CheckResult
from registry import ledger, policies, versions
from registry.models import ModelVersion, Policy, User
from registry.pages import lines
from registry.templatetags.display import words
from scoring import deployments

TRAIL = 40
_CHECKS = {
    "performance": "Performance on the hold-out",
    "bias": "Groups are treated alike",
    "consistency": "Same input, same answer",
    "drift": "Hold-out looks like the reference",
    "signing": "Signature of the files",
}
_NEXT = {
    Stage.UNSERVABLE: "It is on record but cannot be served; register a version of a servable flavour.",
    Stage.REGISTERED: "The required checks are being performed.",
    Stage.BLOCKED: "A required check did not pass; register a better version.",
    Stage.CHECKED: "A data scientist can ask for approval.",
    Stage.REQUESTED: "Signatures are owed.",
    Stage.REJECTED: "The request was refused; a data scientist can ask again.",
    Stage.APPROVED: "An operator can promote it.",
    Stage.CHAMPION: "It answers now.",
    Stage.SUPERSEDED: "It served before; an operator can roll back to it.",
}


@dataclass(frozen=True)
class Check:
    """A required check as it stands."""

    name: str
    title: str
    state: str
    reasons: list[str]
    performed_at: datetime | None
    seconds: float | None


@dataclass(frozen=True)
class Deed:
    """An action with every reason against it, for this person now."""

    name: str
    reasons: list[str]
    may_ever: bool
    fits: bool


@dataclass(frozen=True)
class Section:
    """The measurements of one check. `same_rows`: the champion's beside them are of this version's hold-out too."""

    title: str
    same_rows: bool
    rows: list[pictures.Row]


def checks(version: ModelVersion, policy: Policy, results: Mapping[str, CheckResult], now: datetime) -> list[Check]:
    """Return every check the version owes with its result, or who is at it."""
    busy = runs.running(version, policy, now)
    return [_check(name, results.get(name), name in busy) for name in _ordered(version, policy)]


def _ordered(version: ModelVersion, policy: Policy) -> list[str]:
    """Return the checks a version owes in the order a reader wants, unknown ones last."""
    known = list(_CHECKS)
    owed = demands.names(version.artifact, policy.rules)
    return sorted(owed, key=lambda name: known.index(name) if name in known else len(known))


def _check(name: str, result: CheckResult | None, busy: bool) -> Check:
    title = _CHECKS.get(name, pictures.name_of(name))
    if result is None:
        return Check(name, title, "running" if busy else "waiting", [], None, None)
    return Check(name, title, result.verdict, result.reasons, result.performed_at, result.seconds)


def _tally(listed: list[Check]) -> str:
    """Return how the checks stand in words: a warning is not hidden among the passed."""
    counts = Counter(words(check.state).lower() for check in listed)
    return ", ".join(f"{number} {state}" for state, number in counts.items())


def open_checks(version: ModelVersion, found: list[Check]) -> bool:
    """Say whether results are still to come."""
    return not version.unservable and any(check.state in ("running", "waiting") for check in found)


def deeds(facts: Facts, user: User) -> dict[str, Deed]:
    """Return every action with the reasons against it."""
    person = lifecycle.person(user)
    return {
        name.replace(" ", "_"): Deed(
            name,
            reasons_against(name, facts, person),
            action.permission in person.permissions,
            facts.stage in action.stages,
        )
        for name, action in ACTIONS.items()
    }


def facts_for_page(version: ModelVersion, user: User, now: datetime) -> dict[str, Any]:
    """Gather everything the page shows except its forms."""
    policy = policies.in_force(version.model.tier)
    results = runs.results(version, policy)
    facts = lifecycle.facts_of(version)
    listed = checks(version, policy, results, now)
    return {
        "section": "models",
        "version": version,
        "policy": policy,
        "facts": facts,
        "next_step": _next_step(facts),
        "checks": listed,
        "checks_open": open_checks(version, listed),
        "tally": _tally(listed),
        "deeds": deeds(facts, user),
        "order": waiting_order(version),
        "code": code(version.lineage),
        **_comparison(version, policy, results),
        **_evidence(version, results),
        **_approval(version, facts),
        **drawn(graph.of_version(version)),
        "lines": lines(ledger.about([f"version:{version.id}"]).reverse()[:TRAIL]),
    }


def waiting_order(version: ModelVersion) -> Order | None:
    """Return the order of this model that the governor has yet to execute."""
    rows = lifecycle.waiting_orders().select_related("ordered_by", "request__package__version__model")
    found: Order | None = rows.filter(request__package__version__model=version.model_id).first()
    return found


def _next_step(facts: Facts) -> str:
    if facts.stage == Stage.REQUESTED:
        return f"Still to sign: {owed(facts)}."
    return _NEXT[facts.stage]


def owed(facts: Facts) -> str:
    """Return who must still sign, in words."""
    return ", ".join(f"{count} × {role}" for role, count in facts.outstanding.items())


def _comparison(version: ModelVersion, policy: Policy, results: Mapping[str, CheckResult]) -> dict[str, Any]:
    """Put each measurement beside the champion's: of the same rows where those were measured, else of its own."""
    current = deployments.current(version.model)
    champion = current.package.version if current and current.package.version_id != version.pk else None
    own = runs.results(champion, policy) if champion else {}
    named = [name for name in _ordered(version, policy) if name in results]
    made = [_section(name, results[name], champion, own, policy) for name in named]
    return {"champion": champion, "serving": current, "comparison": made}


def _section(
    name: str, result: CheckResult, champion: ModelVersion | None, own: Mapping[str, CheckResult], policy: Policy
) -> Section:
    alike = result.evidence.get("champion", {})
    same_rows = champion is not None and alike.get("version") == champion.digest
    beside = alike["measurements"] if same_rows else own[name].measurements if name in own else ()
    rows = pictures.rows(result.measurements, beside, demands.limits(policy.rules, name))
    return Section(_CHECKS.get(name, pictures.name_of(name)), same_rows, rows)


def _evidence(version: ModelVersion, results: Mapping[str, CheckResult]) -> dict[str, Any]:
    held = {name: result.evidence for name, result in results.items()}
    performance = held.get("performance", {})
    return {
        "performance": performance,
        "scores": pictures.scores(performance),
        "roc": pictures.roc(performance),
        "groups": held.get("bias", {}).get("groups", {}),
        "consistency": held.get("consistency", {}),
        "signing": held.get("signing", {}),
        "columns": pictures.columns(results["drift"], version.schema, "hold-out") if "drift" in results else [],
        "data": card.data_with_windows(version),
        "logged": versions.logged_data(version),
    }


def _approval(version: ModelVersion, facts: Facts) -> dict[str, Any]:
    newest: ApprovalRequest | None = lifecycle.newest_request(version)
    signatures = newest.signatures.select_related("signer").order_by("signed_at") if newest else []
    return {"request_made": newest, "signatures": list(signatures), "owed": owed(facts), "demanded": facts.demanded}


def default_bands(performance: Mapping[str, Any], budget: float) -> list[dict[str, Any]]:
    """Propose bands: review what the budget allows, block its surest tenth, by the scores of the hold-out."""
    held = performance.get("scores")
    review, block = (_above(performance, share) for share in (budget, budget / 10)) if held else (0.5, 0.9)
    return [
        {"name": "allow", "start": 0, "action": "let through"},
        {"name": "review", "start": review, "action": "send to an analyst"},
        {"name": "block", "start": max(block, round(review + 0.05, 2)), "action": "decline"},
    ]


def _above(performance: Mapping[str, Any], share: float) -> float:
    """Return the score above which a share of the hold-out lies, between the edges of its histogram."""
    held, rate = performance["scores"], performance["positives"] / performance["rows"]
    both = zip(held["legitimate"], held["adverse"], strict=True)
    shares = [legitimate * (1 - rate) + adverse * rate for legitimate, adverse in both]
    beyond = 0.0
    for place in range(len(shares) - 1, -1, -1):
        if beyond + shares[place] >= share:
            low, high = held["edges"][place], held["edges"][place + 1]
            return round(min(0.9, max(0.01, high - (high - low) * (share - beyond) / shares[place])), 2)
        beyond += shares[place]
    return 0.5
