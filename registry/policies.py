"""Register the rules of a risk tier; the policy in force.

Rules are one JSON object (governance.policy_defaults shows each part). They are versioned and never changed: a new
limit is a new policy, and approvals under the old one stay bound to it.
"""

from datetime import datetime
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from django.db import transaction

from registry import canonical, ledger
from registry.ledger import Event
from registry.models import Policy, User
from registry.refusals import Invalid, Unavailable

TIERS = (1, 2, 3)  # 1 the most material
PARTS = (
    *("checks", "signatures", "monitors", "parameters", "review_budget", "retraining"),
    *("retention_days", "retention_classes", "outage", "explanations"),
)
EXPLANATIONS = ("inline", "deferred")  # whether an answer is explained before it is given; inline where nothing is said


def adopt(*, tier: int, rules: dict[str, Any], by: User | None, now: datetime) -> Policy:
    """Put these rules in force for a tier from now on; the rules already in force change nothing."""
    unknown = not isinstance(rules, dict) or set(rules) - set(PARTS)
    if unknown or not rules.get("signatures") or not rules.get("checks"):
        raise Invalid(f"A policy holds {', '.join(PARTS)}; at least checks and signatures, and nothing else.")
    for need in rules["signatures"]:
        if not isinstance(need, dict) or not need.get("role") or not isinstance(need.get("count"), int):
            raise Invalid("Each demand for signatures has a role and a count.")
        if need["count"] < 1:
            raise Invalid("A policy demands at least one signature of each role it names.")
    if rules.get("explanations", EXPLANATIONS[0]) not in EXPLANATIONS:
        raise Invalid(f"`explanations` of a policy is one of {', '.join(EXPLANATIONS)}.")
    _timed(rules)
    _bounded(rules)
    _readable(rules)
    current = Policy.objects.filter(tier=tier).order_by("-number").first()
    if current and current.rules == rules:
        return current
    number = current.number + 1 if current else 1
    digest = canonical.digest({"tier": tier, "number": number, "rules": rules})
    with transaction.atomic():
        policy = Policy.objects.create(
            tier=tier, number=number, rules=rules, digest=digest, adopted_by=by, adopted_at=now
        )
        actor = by.actor if by else "service:setup"
        facts = {"policy": digest, "tier": tier, "number": number}
        ledger.append(Event.POLICY_ADOPTED, subject=f"policy:{digest}", actor=actor, at=now, facts=facts)
    return policy


def _timed(rules: dict[str, Any]) -> None:
    """Refuse retention classes that say no time."""
    classes = rules.get("retention_classes", {})
    if not isinstance(classes, dict) or not all(type(days) is int and days > 0 for days in classes.values()):
        raise Invalid("`retention_classes` is an object: the name of a class, and for how many days it keeps.")


def _bounded(rules: dict[str, Any]) -> None:
    """Refuse bounds that bound nothing. Without them, nothing is answered while the database is gone."""
    limits = rules.get("outage", {"minutes": 0, "megabytes": 0})
    named = isinstance(limits, dict) and set(limits) == {"minutes", "megabytes"}
    if not named or not all(type(limit) is int and 0 <= limit <= 10_000 for limit in limits.values()):
        raise Invalid("`outage` holds `minutes` and `megabytes`, whole numbers from 0 to 10,000.")


def _readable(rules: dict[str, Any]) -> None:
    """Refuse keys that no signature of a model could be verified by: with them every one would be wrong."""
    try:
        named = rules.get("parameters", {}).get("signing", {})
        for pem in named.get("keys", {}).values():
            if not isinstance(load_pem_public_key(pem.encode()), ec.EllipticCurvePublicKey):
                raise ValueError("it is not of an elliptic curve")
        for pem in named.get("authorities", {}).values():
            x509.load_pem_x509_certificate(pem.encode())
    except (AttributeError, ValueError, TypeError) as error:
        raise Invalid(
            "`parameters`, `signing` holds `keys` and `authorities`, each an object of name to PEM: the public key of "
            f"an elliptic curve, the certificate of an authority. This one cannot be read: {error}."[:500]
        ) from error


def in_force(tier: int) -> Policy:
    """Return the newest policy of a tier."""
    policy = Policy.objects.filter(tier=tier).order_by("-number").first()
    if policy is None:
        raise Unavailable(f"No policy is in force for tier {tier}. Adopt one first (manage.py setup_platform does).")
    return policy


def record(policy: Policy) -> dict[str, Any]:
    """Return what a policy's digest is computed over."""
    return {"tier": policy.tier, "number": policy.number, "rules": policy.rules}
