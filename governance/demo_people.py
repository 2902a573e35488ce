"""One person per role, for demos and tests. Their passwords are made anew for each data folder."""

import json
import os
import secrets
from datetime import datetime
from pathlib import Path

from django.conf import settings
from django.db import transaction

from registry import people
from registry.models import User

PEOPLE = {
    "ada": ("Ada (data scientist)", ["data-scientist"]),
    "grace": ("Grace (risk analyst)", ["risk-analyst"]),
    "alan": ("Alan (risk lead)", ["risk-lead"]),
    "olivia": ("Olivia (operator)", ["operator"]),
    "clara": ("Clara (compliance)", ["compliance"]),
}
SERVICES = {"engine": "decision-engine", "trainer": "trainer"}
TOKENS = {
    "ada": ["registry.read", "registry.register_version", "governance.request_approval"],
    "engine": None,
}
_SCORING = ["scoring.score", "scoring.record_outcome", "registry.read"]


def credentials_file() -> Path:
    """Return the file that holds the demo's passwords and tokens, readable by its owner alone."""
    return Path(settings.HOME) / "secrets" / "demo_people.json"


@transaction.atomic
def add(now: datetime) -> dict[str, dict[str, str]]:
    """Add the people who are missing; return their passwords and tokens, kept in `credentials_file`."""
    path = credentials_file()
    if path.exists() and User.objects.filter(username="ada").exists():
        known: dict[str, dict[str, str]] = json.loads(path.read_text())
        return known
    result: dict[str, dict[str, str]] = {"passwords": {}, "tokens": {}}
    for username, (name, roles) in PEOPLE.items():
        result["passwords"][username] = secrets.token_urlsafe(12)
        people.add(
            username=username,
            name=name,
            password=result["passwords"][username],
            roles=roles,
            by="service:setup",
            now=now,
        )
    for username, role in SERVICES.items():
        people.add(username=username, name="", password=None, roles=[role], by="service:setup", now=now)
    for username, scopes in TOKENS.items():
        owner = User.objects.get(username=username)
        _, secret = people.issue_token(owner=owner, name="demo", scopes=scopes or _SCORING, days=90, by=owner, now=now)
        result["tokens"][username] = secret
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        json.dump(result, file)
    return result
