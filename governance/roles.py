"""The separation of duties on one screen: which role may do what."""

from datetime import datetime

from django.contrib.auth.models import Group, Permission
from django.db import transaction

from governance.events import Event
from registry import ledger, stewards
from registry.refusals import Unavailable

READ = "registry.read"
CASES = ("scoring.investigate", "scoring.override", "scoring.replay")  # what work on single decisions takes
DESCRIBE, KEEP = stewards.DESCRIBE, stewards.KEEP
ROLES: dict[str, list[str]] = {
    "data-scientist": [READ, "registry.register_version", DESCRIBE, "governance.request_approval"],
    "risk-analyst": [READ, "governance.sign", "monitoring.answer_alert", "governance.issue_dossier", *CASES],
    "risk-lead": [
        *(READ, DESCRIBE, KEEP, "governance.sign", "monitoring.answer_alert", "governance.issue_dossier"),
        *CASES,
    ],
    "operator": [
        *(READ, "governance.promote", "monitoring.answer_alert"),
        *("registry.move_alias", "governance.manage_webhooks"),
    ],
    "compliance": [
        *(READ, DESCRIBE, KEEP, "registry.see_restricted", "governance.issue_dossier"),
        *("scoring.investigate", "scoring.replay"),
    ],
    "decision-engine": ["scoring.score", "scoring.record_outcome", READ],
    "trainer": ["registry.register_version"],
}


def synchronise(now: datetime) -> None:
    """Make the groups and their permissions what this table says; every role that changes is entered."""
    known = {f"{p.content_type.app_label}.{p.codename}": p for p in Permission.objects.select_related("content_type")}
    for role, names in ROLES.items():
        missing = [name for name in names if name not in known]
        if missing:
            raise Unavailable(f"Role {role} names unknown permissions: {', '.join(missing)}. Run `manage.py migrate`.")
        _make(role, [known[name] for name in names], now)


@transaction.atomic
def _make(role: str, permissions: list[Permission], now: datetime) -> None:
    group, _ = Group.objects.get_or_create(name=role)
    if set(group.permissions.all()) == set(permissions):
        return
    group.permissions.set(permissions)
    facts = {"permissions": sorted(ROLES[role])}
    ledger.append(Event.ROLE_CHANGED, subject=f"role:{role}", actor="service:setup", at=now, facts=facts)
