"""Assemble a package: what is approved, signed, deployed and served as one unit."""

import math
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from django.db import transaction

from registry import canonical, fallbacks, ledger, policies, reason_maps
from registry.ledger import Event
from registry.models import ModelVersion, Package, User
from registry.refusals import Conflict, Invalid
from registry.schema import Schema


def assemble(
    *,
    version: ModelVersion,
    bands: Sequence[Mapping[str, Any]],
    by: User,
    now: datetime,
    reasons: Mapping[str, Mapping[str, Any]] | None = None,
    fallback: Mapping[str, Any] | None = None,
) -> Package:
    """Join a version with its decision bands, reason map and fallback under the policy in force.

    `bands`: [{name, from, action}, …] by rising score, the first from 0; `reasons`: feature → {code, text, …}
    (`reason_maps`); `fallback`: the band, or rules and a band, that are answered when no score can be given
    (`fallbacks`). The same contents give the same package.
    """
    if version.unservable:
        raise Conflict(f"{version} cannot be served: {version.unservable}.")
    policy = policies.in_force(version.model.tier)
    checked = _bands(bands)
    package = Package(
        version=version,
        policy=policy,
        bands=checked,
        reasons=reason_maps.checked({} if reasons is None else reasons, Schema.load(version.schema)),
        fallback=fallbacks.checked(fallback, [band["name"] for band in checked], Schema.load(version.schema)),
        assembled_by=by,
        assembled_at=now,
    )
    package.digest = canonical.digest(record(package))
    found = Package.objects.filter(digest=package.digest).first()
    if found:
        return found
    with transaction.atomic():
        package.save(force_insert=True)
        facts = {"package": package.digest, "version": version.digest, "policy": policy.digest}
        ledger.append(Event.PACKAGE_ASSEMBLED, subject=f"version:{version.id}", actor=by.actor, at=now, facts=facts)
    return package


def record(package: Package) -> dict[str, Any]:
    """Return what a package's digest is computed over."""
    return {
        "version": package.version.digest,
        "policy": package.policy.digest,
        "bands": package.bands,
        "reasons": package.reasons,
        "fallback": package.fallback,
    }


def _bands(bands: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    try:
        result: list[dict[str, Any]] = [
            {"name": str(b["name"]), "from": float(b["from"]), "action": str(b.get("action", ""))} for b in bands
        ]
    except (KeyError, TypeError, ValueError) as error:
        raise Invalid("Each band has a name, the score it starts from, and an action.") from error
    starts = [band["from"] for band in result]
    if not result or starts[0] != 0 or starts != sorted(set(starts)) or not all(map(math.isfinite, starts)):
        raise Invalid("Bands rise from a score of 0, each starting above the one before.")
    if not all(0 < len(band["name"]) <= 40 and band["name"].isprintable() for band in result):
        raise Invalid("A band's name has 1 to 40 printable characters.")
    if not all(len(band["action"]) <= 200 and band["action"].isprintable() or not band["action"] for band in result):
        raise Invalid("A band's action has at most 200 printable characters.")
    if starts[-1] > 1 or len({band["name"] for band in result}) != len(result):
        raise Invalid("Scores are between 0 and 1, and each band has its own name.")
    return result
