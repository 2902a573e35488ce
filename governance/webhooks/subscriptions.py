"""Make, change and remove a webhook; find those that somebody may look after.

Everything is looked after by whoever holds `governance.manage_webhooks`; the webhooks of one model by its owner too. An
address may be a secret by itself (a chat's incoming hook), so nobody else sees it.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import Q, QuerySet

from governance.events import Event
from governance.models import Webhook, WebhookRevision
from governance.webhooks import events, sealing
from registry import canonical, ledger, locks, outbound
from registry.ids import is_identifier
from registry.models import RegisteredModel, User
from registry.refusals import Invalid, NotAllowed, Unknown

MANAGE, OWN = "governance.manage_webhooks", "registry.register_version"  # of everything; of one's own models
ACTIVE, DISABLED, REMOVED = "ACTIVE", "DISABLED", "REMOVED"
PLAIN, GITHUB, GITLAB = "webhook", "github-status", "gitlab-status"
KINDS = (PLAIN, GITHUB, GITLAB)
COMMIT = "{sha}"  # where the address of a commit status has the commit
_NAME = re.compile(r"(?=.{1,63}$)[a-z0-9]([a-z0-9._-]*[a-z0-9])?", re.IGNORECASE)  # as MLflow asks
_LONGEST = {"description": 1000, "secret": 1000}


@dataclass(frozen=True)
class Caretaker:
    """Somebody, and whose webhooks they may look after: everybody's, those of their own models, or nobody's."""

    user: User
    everything: bool
    own_models: bool

    @classmethod
    def of(cls, user: User, holds: Callable[[str], bool]) -> "Caretaker":
        """Return somebody with the permissions they hold here and now."""
        return cls(user, everything=holds(MANAGE), own_models=holds(OWN))

    def reach(self) -> Q:
        """Return the condition on revisions of webhooks that they look after."""
        own = Q(webhook__model__owner=self.user) if self.own_models else Q(pk=None)
        return Q() if self.everything else own

    def demand(self, model: RegisteredModel | None) -> None:
        """Raise NotAllowed unless they may make a webhook of this model (None: of everything)."""
        if self.everything or (self.own_models and model and model.owner_id == self.user.pk):
            return
        raise NotAllowed(
            f"A webhook of everything needs the permission {MANAGE}, one of a single model its owner. "
            "Name a model of yours (`model` at /api/v1/webhooks), or ask an operator."
        )


def current() -> QuerySet[WebhookRevision]:
    """Return what each webhook says now, the newest first; removed ones are left out."""
    newest = WebhookRevision.objects.order_by("webhook", "-number").distinct("webhook").values("pk")
    rows = WebhookRevision.objects.filter(pk__in=newest).exclude(status=REMOVED)
    return rows.select_related("webhook__model", "webhook__made_by", "made_by").order_by("-webhook__made_at", "-pk")


def looked_after(by: Caretaker) -> QuerySet[WebhookRevision]:
    """Return what each webhook says now that somebody may look after."""
    return current().filter(by.reach())


def named(identifier: str | UUID, by: Caretaker) -> WebhookRevision:
    """Return what a webhook says now; Unknown when there is none that this person may look after."""
    known = is_identifier(str(identifier))
    found = looked_after(by).filter(webhook=UUID(str(identifier))).first() if known else None
    if found is None:
        raise Unknown(f"Webhook with ID {str(identifier)[:60]} not found, or it is not yours to look after.")
    return found


@transaction.atomic
def make(
    *,
    name: str,
    url: str,
    tells: Sequence[str],
    by: Caretaker,
    now: datetime,
    kind: str = PLAIN,
    model: RegisteredModel | None = None,
    description: str = "",
    secret: str = "",
    status: str = ACTIVE,
) -> WebhookRevision:
    """Make a webhook: `tells` are names of events; `model`: only what concerns it. The secret is sealed at once."""
    by.demand(model)
    if kind not in KINDS:
        raise Invalid(f"There is no kind {kind[:40]!r} of webhook. Choose from {', '.join(KINDS)}.")
    webhook = Webhook(kind=kind, model=model, made_by=by.user, made_at=now)
    told = {"name": name, "url": url, "events": list(tells), "description": description, "status": status}
    revision = _revised(WebhookRevision(webhook=webhook, number=0), told, secret, by.user, now)
    webhook.save(force_insert=True)
    return _kept(revision, Event.WEBHOOK_MADE)


@transaction.atomic
def change(
    *, webhook: Webhook, by: Caretaker, now: datetime, secret: str | None = None, **told: Any
) -> WebhookRevision:
    """Let a webhook say something else from now on: name, url, events, description, status; an empty secret: none."""
    return _kept(_revised(_latest(webhook, by), told, secret, by.user, now), Event.WEBHOOK_CHANGED)


@transaction.atomic
def remove(*, webhook: Webhook, by: Caretaker, now: datetime) -> WebhookRevision:
    """Let a webhook end; what it told stays on record."""
    found = _latest(webhook, by)
    gone = _copy(found, {"status": REMOVED, "secret": None}, by.user, now)
    return _kept(gone, Event.WEBHOOK_REMOVED)


def sealed_for(says: WebhookRevision) -> str:
    """Return what a secret is bound to: a token that is sent, to its address too, or another address would get it."""
    return str(says.webhook_id) if says.webhook.kind == PLAIN else f"{says.webhook_id} {says.url}"


def _latest(webhook: Webhook, by: Caretaker) -> WebhookRevision:
    locks.hold(f"webhook:{webhook.pk}")
    return named(webhook.pk, by)


def _revised(
    found: WebhookRevision, told: dict[str, Any], secret: str | None, by: User, now: datetime
) -> WebhookRevision:
    """Return the next revision, every field of it judged."""
    revision = _copy(found, told, by, now)
    if secret is not None:
        _demand_length("secret", secret)
        revision.secret = sealing.seal(secret, sealed_for(revision)) if secret else None
    elif revision.secret is not None and sealed_for(revision) != sealed_for(found):
        raise Invalid("The token was sealed for the address it was given for. Send it again with the new address.")
    if not _NAME.fullmatch(revision.name):
        raise Invalid(
            f"{revision.name[:80]!r} cannot name a webhook: 1 to 63 letters, digits, dots, underscores and hyphens, "
            "with a letter or digit at both ends."
        )
    if revision.status not in (ACTIVE, DISABLED):
        raise Invalid(f"A webhook is {ACTIVE} or {DISABLED}, not {revision.status[:40]!r}.")
    _demand_length("description", revision.description)
    kind = revision.webhook.kind
    revision.events = list(events.GATE) if kind != PLAIN else events.named(revision.events)
    _demand_target(revision.url, kind)
    return revision


def _copy(found: WebhookRevision, told: dict[str, Any], by: User, now: datetime) -> WebhookRevision:
    kept = {name: getattr(found, name) for name in ("name", "description", "url", "events", "secret", "status")}
    return WebhookRevision(webhook=found.webhook, number=found.number + 1, made_by=by, made_at=now, **{**kept, **told})


def _demand_length(what: str, text: str) -> None:
    if len(text) > _LONGEST[what] or "\0" in text:
        raise Invalid(f"A {what} has at most {_LONGEST[what]} characters and no NUL.")


def _demand_target(text: str, kind: str) -> None:
    """Raise Invalid for an address where nothing is sent; plain HTTP is for hosts that the operator allows."""
    if kind != PLAIN:
        if text.count(COMMIT) != 1:
            raise Invalid(
                f"The address of a commit status has {COMMIT} where the commit goes, as in "
                "https://api.github.com/repos/OWNER/REPOSITORY/statuses/{sha}."
            )
        text = text.replace(COMMIT, "0" * 40)
    allowed = settings.WEBHOOK_ALLOWED_HOSTS
    outbound.demand(text, allowed=allowed, plain=allowed)


def _kept(revision: WebhookRevision, event: Event) -> WebhookRevision:
    revision.save(force_insert=True)
    facts = {
        "revision": revision.number,
        "kind": revision.webhook.kind,
        "model": str(revision.webhook.model_id or ""),
        "status": revision.status,
        "events": revision.events,
        "says": canonical.digest([revision.name, revision.description, revision.url]),
        "secret": revision.secret is not None,
    }
    subject, actor = f"webhook:{revision.webhook_id}", revision.made_by.actor
    ledger.append(event, subject=subject, actor=actor, at=revision.made_at, facts=facts)
    return revision
