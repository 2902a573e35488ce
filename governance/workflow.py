"""The workflow as one table: stages, actions, who may, and every reason against. Pure: facts in, sentences out."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum


class Stage(StrEnum):
    """Where a version stands. Derived from rows, never stored."""

    UNSERVABLE = "unservable"
    REGISTERED = "registered"
    BLOCKED = "blocked"
    CHECKED = "checked"
    REQUESTED = "requested"
    REJECTED = "rejected"
    APPROVED = "approved"
    CHAMPION = "champion"
    SUPERSEDED = "superseded"


@dataclass(frozen=True)
class Person:
    """Somebody who would act."""

    id: int
    name: str
    roles: frozenset[str]
    permissions: frozenset[str]


@dataclass(frozen=True)
class Signed:
    """A signature that was given."""

    signer: int
    role: str
    outcome: str


@dataclass(frozen=True)
class Facts:
    """All that the rules ask about a version and its newest request."""

    stage: Stage
    author: int
    verdict: str
    requester: int | None = None
    signatures: tuple[Signed, ...] = ()
    demanded: tuple[tuple[str, int], ...] = ()  # (role, how many people)
    evidence_unchanged: bool = True
    policy_in_force: bool = True
    order_pending: bool = False
    checks_done: bool = True
    serving: bool = False
    served_before: bool = False

    @property
    def outstanding(self) -> dict[str, int]:
        """How many signatures each role still owes."""
        given = [s.role for s in self.signatures if s.outcome == "approve"]
        owed = {role: number - given.count(role) for role, number in self.demanded}
        return {role: number for role, number in owed.items() if number > 0}


Rule = Callable[[Facts, Person], str | None]


def checks_passed(facts: Facts, person: Person) -> str | None:
    """No request while a required check has not passed."""
    if facts.verdict not in ("pass", "warn"):
        return f"The required checks say {facts.verdict!r}; every one must pass or warn before anybody may sign."
    return None


def not_the_author(facts: Facts, person: Person) -> str | None:
    """Four eyes: the author does not decide."""
    if person.id == facts.author:
        return f"{person.name} registered this version; someone else must decide (four eyes)."
    return None


def not_the_requester(facts: Facts, person: Person) -> str | None:
    """Four eyes: who asks does not decide."""
    if person.id == facts.requester:
        return f"{person.name} asked for this approval; someone else must decide (four eyes)."
    return None


def not_yet_signed(facts: Facts, person: Person) -> str | None:
    """One person, one signature."""
    if any(signature.signer == person.id for signature in facts.signatures):
        return f"{person.name} has signed this request; distinct people must sign."
    return None


def holds_a_role_that_is_owed(facts: Facts, person: Person) -> str | None:
    """Only roles that the policy demands and that are still outstanding sign."""
    if not person.roles & set(facts.outstanding):
        owed = ", ".join(f"{number} × {role}" for role, number in facts.outstanding.items()) or "nobody"
        return f"{person.name} holds none of the roles that still must sign ({owed})."
    return None


def nothing_changed(facts: Facts, person: Person) -> str | None:
    """A signature is over exact digests; new evidence or a new policy voids the request."""
    if not facts.evidence_unchanged:
        return "The evidence changed after this request was made, which voids it. Ask for approval again."
    if not facts.policy_in_force:
        return "A newer policy is in force than the one this package was judged by. Ask for approval again."
    return None


def served_before(facts: Facts, person: Person) -> str | None:
    """Going back needs something to go back to; a request made since does not stand in its way."""
    if facts.serving:
        return "This version serves now; there is nothing to go back from."
    if not facts.served_before:
        return "This version never served; only what served before can serve again without new signatures."
    return None


def no_order_pending(facts: Facts, person: Person) -> str | None:
    """One order at a time for a model."""
    if facts.order_pending:
        return "Another order for this model is being executed. Look again in a moment."
    return None


@dataclass(frozen=True)
class Action:
    """Something a person can do with a version."""

    name: str
    stages: frozenset[Stage]
    leads_to: Stage
    permission: str
    rules: tuple[Rule, ...]


def _action(name: str, stages: set[Stage], leads_to: Stage, permission: str, *rules: Rule) -> Action:
    return Action(name, frozenset(stages), leads_to, permission, rules)


ACTIONS = {
    action.name: action
    for action in (
        _action(
            "request",
            {Stage.CHECKED, Stage.REJECTED, Stage.CHAMPION, Stage.SUPERSEDED},
            Stage.REQUESTED,
            "governance.request_approval",
            checks_passed,
        ),
        _action(
            "sign",
            {Stage.REQUESTED},
            Stage.APPROVED,
            "governance.sign",
            not_the_author,
            not_the_requester,
            not_yet_signed,
            holds_a_role_that_is_owed,
            nothing_changed,
        ),
        _action(
            "promote",
            {Stage.APPROVED},
            Stage.CHAMPION,
            "governance.promote",
            not_the_author,
            not_the_requester,
            nothing_changed,
            no_order_pending,
        ),
        _action(
            "roll back",
            {Stage.SUPERSEDED, Stage.REQUESTED, Stage.APPROVED},
            Stage.CHAMPION,
            "governance.promote",
            served_before,
            no_order_pending,
        ),
    )
}


def reasons_against(name: str, facts: Facts, person: Person) -> list[str]:
    """Return every reason why this person cannot do this now; none means they can."""
    action = ACTIONS[name]
    reasons = []
    if action.permission not in person.permissions:
        reasons.append(f"{person.name} may not {name}: no role of theirs allows it.")
    if facts.stage not in action.stages:
        wanted = " or ".join(sorted(action.stages))
        reasons.append(f"This version is {facts.stage}; to {name} it must be {wanted}.")
    # In another stage no rule matters any more, except the one that says how a request came to be void.
    rules = action.rules if facts.stage in action.stages else {nothing_changed} & set(action.rules)
    return reasons + [reason for rule in rules if (reason := rule(facts, person))]


def diagram() -> str:
    """Return the workflow as text, one line a step: what the README shows."""
    lines = ["registered → checked | blocked      by the required checks of the policy in force"]
    for action in ACTIONS.values():
        lines.append(f"{' | '.join(sorted(action.stages))} → {action.leads_to}      {action.name}")
    return "\n".join(lines)
