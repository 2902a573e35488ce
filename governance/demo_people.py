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
from registry.refusals import Unavailable

PEOPLE = {
    "ada": ("Ada (data scientist)", ["data-scientist"]),
    "grace": ("Grace (risk analyst)", ["risk-analyst"]),
    "alan": ("Alan (risk lead)", ["risk-lead"]),
    "olivia": ("Olivia (operator)", ["operator"]),
    "clara": ("Clara (compliance)", ["compliance"]),
}
ENGINE = "engine"
TOKENS = {
    "ada": ["registry.read", "registry.register_version", "governance.request_approval"],
    ENGINE: ["scoring.score", "scoring.record_outcome", "registry.read"],
}


def credentials_file() -> Path:
    """Return the file that holds the demo's passwords and tokens, readable by its owner alone."""
    return Path(settings.HOME) / "secrets" / "demo_people.json"


@transaction.atomic
def add(now: datetime) -> None:
    """Add the people who are missing, renew the tokens that ended; keep their secrets in `credentials_file`."""
    path = credentials_file()
    known = json.loads(path.read_text()) if path.exists() else {"passwords": {}, "tokens": {}}
    for username, (name, roles) in PEOPLE.items():
        if not User.objects.filter(username=username).exists():
            known["passwords"][username] = secrets.token_urlsafe(12)
            _add(username, name, known["passwords"][username], roles, now)
    if not User.objects.filter(username=ENGINE).exists():
        _add(ENGINE, "", None, ["decision-engine"], now)
    for username, scopes in TOKENS.items():
        token = people.token_of(known["tokens"].get(username, ""))
        if token is None or people.reason_against(token, now):
            owner = User.objects.get(username=username)
            issued = people.issue_token(owner=owner, name="demo", scopes=scopes, days=90, by=owner, now=now)
            known["tokens"][username] = issued[1]
    lost = set(PEOPLE) - set(known["passwords"])
    if lost:
        raise Unavailable(
            f"The passwords of the demo's {', '.join(sorted(lost))} are not in {path.name}. Put the file back into "
            "the data folder's secrets, or begin with a new data folder (COUNTERSIGN_HOME)."
        )
    _keep(path, known)


def _add(username: str, name: str, password: str | None, roles: list[str], now: datetime) -> None:
    people.add(username=username, name=name, password=password, roles=roles, by="service:setup", now=now)


def _keep(path: Path, known: dict[str, dict[str, str]]) -> None:
    """Write the file whole or not at all."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_suffix(".draft")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        json.dump(known, file)
    draft.replace(path)
