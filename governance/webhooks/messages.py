"""What is sent for a delivery: an event in MLflow's form, or the status of a commit at GitHub or GitLab."""

import base64
import hashlib
import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson

from governance import lifecycle
from governance.models import Delivery, WebhookRevision
from governance.webhooks import events, payloads, sealing
from governance.webhooks.subscriptions import COMMIT, GITHUB, GITLAB, PLAIN, sealed_for
from governance.workflow import Stage
from registry.models import ModelVersion
from registry.refusals import Conflict

CONTEXT = "countersign/gate"
_LONGEST = 140  # characters of a status's description at GitHub
_REFUSED = (Stage.BLOCKED, Stage.REJECTED, Stage.UNSERVABLE)
_SAYS = {
    Stage.UNSERVABLE: "It cannot be served: {why}",
    Stage.REGISTERED: "Its checks are running.",
    Stage.BLOCKED: "A required check did not pass.",
    Stage.CHECKED: "Every required check passed.",
    Stage.REQUESTED: "Every required check passed; signatures are awaited.",
    Stage.REJECTED: "Somebody refused to sign.",
    Stage.APPROVED: "Checked and signed.",
    Stage.CHAMPION: "It serves.",
    Stage.SUPERSEDED: "It served before.",
}


@dataclass(frozen=True)
class Message:
    """A request by POST that is ready to go; `secret` must never be seen in what is kept of the answer."""

    url: str
    headers: Mapping[str, str]
    body: bytes
    secret: str


def of(delivery: Delivery, says: WebhookRevision, now: datetime) -> Message:
    """Return what is sent for a delivery at this moment; a Refusal says why there is nothing to send."""
    secret = sealing.unseal(bytes(says.secret), sealed_for(says)) if says.secret is not None else ""
    return _KINDS[says.webhook.kind](delivery, says, secret, now)


def commit_of(version: ModelVersion | None) -> str:
    """Return the commit that a version was made from, empty when it does not say."""
    commit = str(version.lineage.get("code_commit", "")).lower() if version else ""
    return commit if len(commit) in (40, 64) and set(commit) <= set("0123456789abcdef") else ""


def _event(delivery: Delivery, says: WebhookRevision, secret: str, now: datetime) -> Message:
    """Return an event, signed as MLflow signs it (mlflow/webhooks/delivery.py): HMAC-SHA256 of id, time and body."""
    entry = delivery.entry
    data = payloads.of(delivery.event, entry, payloads.about(entry)) if entry else payloads.example(delivery.event)
    entity, _, action = delivery.event.removeprefix(events.PREFIX).partition(".")
    at = entry.at if entry else delivery.made_at
    body = orjson.dumps({"entity": entity, "action": action, "timestamp": at.isoformat(), "data": data})
    moment = str(int(now.timestamp()))
    headers = {
        "X-MLflow-Delivery-Id": str(delivery.pk),
        "X-MLflow-Timestamp": moment,
        "X-Countersign-Event": delivery.event,
    }
    if secret:
        signed = b".".join([str(delivery.pk).encode(), moment.encode(), body])
        code = hmac.new(secret.encode(), signed, hashlib.sha256).digest()
        headers["X-MLflow-Signature"] = f"v1,{base64.b64encode(code).decode()}"
    return Message(says.url, headers, body, secret)


def _github(delivery: Delivery, says: WebhookRevision, secret: str, now: datetime) -> Message:
    """Return a commit status (docs.github.com, REST, "Create a commit status"); GitHub Enterprise has the same."""
    subject, state, description = _gate(delivery)
    body = {"state": state, "context": CONTEXT, "description": description, "target_url": payloads.page(subject)}
    headers = {"Accept": "application/vnd.github+json", "X-GitHub-Api-Version": "2022-11-28"}
    if secret:
        headers["Authorization"] = f"Bearer {secret}"
    return _status(says, subject, headers, body, secret)


def _gitlab(delivery: Delivery, says: WebhookRevision, secret: str, now: datetime) -> Message:
    """Return a commit status (docs.gitlab.com, Commits API, "Set commit pipeline status")."""
    subject, state, description = _gate(delivery)
    body = {"state": "failed" if state == "failure" else state, "name": CONTEXT}
    body |= {"description": description, "target_url": payloads.page(subject)}
    return _status(says, subject, {"PRIVATE-TOKEN": secret} if secret else {}, body, secret)


def _gate(delivery: Delivery) -> tuple[payloads.About, str, str]:
    """Return what a delivery is about, and where the gate of that version stands now, in GitHub's words."""
    subject = payloads.about(delivery.entry) if delivery.entry else None
    if subject is None or subject.version is None or not commit_of(subject.version):
        raise Conflict("There is no version with a commit that a status could be posted of.")
    stage = lifecycle.facts_of(subject.version).stage
    state = "failure" if stage in _REFUSED else "pending" if stage == Stage.REGISTERED else "success"
    description = f"{subject.version}: {_SAYS[stage].format(why=subject.version.unservable)}"
    return subject, state, description[:_LONGEST]


def _status(
    says: WebhookRevision, subject: payloads.About, headers: Mapping[str, str], body: dict[str, Any], secret: str
) -> Message:
    url = says.url.replace(COMMIT, commit_of(subject.version))
    return Message(url, headers, orjson.dumps(body), secret)


_KINDS: dict[str, Callable[[Delivery, WebhookRevision, str, datetime], Message]] = {
    PLAIN: _event,
    GITHUB: _github,
    GITLAB: _gitlab,
}
