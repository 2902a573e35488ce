"""Follow the governance log, owe each webhook its events, deliver them: in order, again when it fails, not for ever.

The log's order is the order of deliveries. What a delivery waits for is a query on its attempts, so a worker that dies
loses nothing; what it had sent already may be sent once more, under the same identifier.
"""

import secrets
from collections.abc import Collection, Iterator
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import Count, Exists, F, Max, OuterRef, Prefetch, Q, QuerySet

from governance.events import Event
from governance.models import Delivery, DeliveryAttempt, Followed, Webhook, WebhookRevision
from governance.webhooks import events, messages, payloads, sending, subscriptions
from governance.webhooks.subscriptions import ACTIVE, PLAIN, Caretaker
from registry import ledger, locks
from registry.ledger import GOVERNANCE
from registry.models import Leaf, LedgerEntry
from registry.refusals import Conflict, Refusal, Unknown

ATTEMPTS = 10
IN_ORDER = 3  # so often is the oldest tried before others may overtake it
FORGOTTEN = timedelta(days=2)  # longer than all attempts take
_FIRST_WAIT, _LONGEST_WAIT = 2.0, 3600.0  # seconds
_BATCH = 500  # entries followed at once
_IN_LINE = 200  # deliveries of one webhook looked at, for the next
_ATTEMPTS = Prefetch("attempts", DeliveryAttempt.objects.order_by("number"))


@transaction.atomic
def follow(now: datetime) -> bool:
    """Owe the webhooks what the log says behind the place it was followed to; return whether there may be more."""
    locks.hold("webhooks follow the log")
    last = Followed.objects.aggregate(last=Max("index"))["last"]
    placed = Leaf.objects.filter(log=GOVERNANCE, index__gt=-1 if last is None else last)
    top = placed.aggregate(top=Max("index"))["top"]
    if top is None:
        return False
    subscribed = list(subscriptions.current().filter(status=ACTIVE))
    entered = {event for says in subscribed for name in says.events for event in events.NAMES.get(name, ())}
    rows = list(placed.filter(entry__event__in=entered).select_related("entry").order_by("index")[:_BATCH])
    for leaf in rows:
        Delivery.objects.bulk_create(_owed(leaf.entry, subscribed, now), ignore_conflicts=True)
    Followed.objects.create(index=rows[-1].index if len(rows) == _BATCH else top, at=now)
    return len(rows) == _BATCH


def _owed(entry: LedgerEntry, subscribed: list[WebhookRevision], now: datetime) -> Iterator[Delivery]:
    """Yield what webhooks that were there when it was entered are to be told of an entry."""
    subject = payloads.about(entry)
    for event in events.of_entry(entry.event):
        wanting = [says for says in subscribed if event in says.events and says.webhook.made_at <= entry.at]
        if wanting and payloads.of(event, entry, subject) is not None:
            for says in wanting:
                if _concerns(says, subject):
                    yield Delivery(webhook=says.webhook, entry=entry, event=event, made_at=now)


def _concerns(says: WebhookRevision, subject: payloads.About | None) -> bool:
    """Say whether a webhook is told about this: of its model, and for a commit status of a version with a commit."""
    wanted = says.webhook.model_id
    if wanted and (subject is None or subject.model.pk != wanted):
        return False
    return says.webhook.kind == PLAIN or bool(subject and messages.commit_of(subject.version))


def waiting(now: datetime) -> QuerySet[Any]:
    """Return the deliveries that are not over, in the order of the log, with `tries` and when the next is `due`."""
    over = DeliveryAttempt.objects.filter(delivery=OuterRef("pk"), due_at=None)
    rows = Delivery.objects.filter(~Exists(over), made_at__gt=now - FORGOTTEN)
    rows = rows.annotate(tries=Count("attempts"), due=Max("attempts__due_at"))
    return rows.select_related("entry__leaf_row").order_by("entry__leaf_row__index", "pk")


def due(now: datetime) -> list[UUID]:
    """Return the webhooks with a delivery that is due."""
    rows = waiting(now).filter(Q(due=None) | Q(due__lte=now)).order_by()
    active = subscriptions.current().filter(status=ACTIVE).values("webhook")
    return list(dict.fromkeys(rows.filter(webhook__in=active).values_list("webhook", flat=True)))


def deliver_next(webhook: UUID, now: datetime) -> bool:
    """Try the delivery of a webhook that is next in line; return whether another may be tried at once.

    Nobody else delivers to it meanwhile; False when somebody does already.
    """
    with locks.alone(f"deliveries of {webhook}") as mine:
        if not mine:
            return False
        says = subscriptions.current().filter(webhook=webhook).exclude(status=subscriptions.DISABLED).first()
        delivery = _next(webhook, now) if says else None
        if says is None or delivery is None:
            return False
        attempt = _attempt(delivery, says, now)
        return attempt.due_at is None


def _next(webhook: UUID, now: datetime) -> Delivery | None:
    """Return the oldest that is due; what somebody asked for waits for no other."""
    asked_first = F("asked_by").asc(nulls_last=True)
    rows = waiting(now).filter(webhook=webhook).order_by(asked_first, "entry__leaf_row__index", "pk")
    held_up = False
    for delivery in rows[:_IN_LINE]:
        if delivery.due and delivery.due > now:
            held_up = held_up or (delivery.tries < IN_ORDER and not delivery.asked_by_id)
        elif delivery.asked_by_id or not held_up:
            return delivery
    return None


def _attempt(delivery: Delivery, says: WebhookRevision, now: datetime) -> DeliveryAttempt:
    try:
        answer = sending.send(messages.of(delivery, says, now))
    except Refusal as refusal:
        answer = sending.Answer(0, error=refusal.detail, final=True)
    number = delivery.attempts.count() + 1
    over = answer.final or delivery.entry is None or number >= ATTEMPTS
    return DeliveryAttempt.objects.create(
        delivery=delivery,
        number=number,
        at=now,
        milliseconds=answer.milliseconds,
        status=answer.status,
        answer=answer.text,
        error=answer.error,
        due_at=None if over else now + max(_wait(number), timedelta(seconds=answer.wait)),
    )


def _wait(number: int) -> timedelta:
    """Return how long to wait after so many attempts: three times as long each time, with a random part of it."""
    longest = min(_FIRST_WAIT * 3 ** (number - 1), _LONGEST_WAIT)
    return timedelta(seconds=longest * (0.5 + secrets.randbelow(1000) / 2000))


def log(webhook: Webhook) -> QuerySet[Delivery]:
    """Return the deliveries of a webhook with their attempts, the newest first."""
    rows = Delivery.objects.filter(webhook=webhook).select_related("entry__leaf_row", "asked_by")
    return rows.prefetch_related(_ATTEMPTS).order_by("-pk")


def named(identifier: UUID, webhook: UUID) -> Delivery:
    """Return a delivery of a webhook."""
    found = Delivery.objects.filter(pk=identifier, webhook=webhook).select_related("webhook", "entry").first()
    if found is None:
        raise Unknown(f"This webhook has no delivery {identifier}.")
    return found


def state(delivery: Delivery) -> str:
    """Return what became of a delivery of the log: arrived, failed, waiting (for its first or next attempt)."""
    attempts = list(delivery.attempts.all())
    if not attempts or attempts[-1].due_at:
        return "waiting"
    return "arrived" if attempts[-1].arrived else "failed"


def states(webhooks: Collection[UUID]) -> dict[UUID, str]:
    """Return what became of the newest delivery of each webhook, where there is one."""
    rows = Delivery.objects.filter(webhook__in=webhooks).prefetch_related(_ATTEMPTS)
    return {row.webhook_id: state(row) for row in rows.order_by("webhook", "-pk").distinct("webhook")}


@transaction.atomic
def test(*, webhook: Webhook, event: str | None, by: Caretaker, now: datetime) -> Delivery:
    """Ask that an example be sent once: of the webhook's first event, or of another one that is named."""
    says = subscriptions.named(webhook.pk, by)
    if webhook.kind != PLAIN:
        raise Conflict("A commit status has no example: it is posted when a version with a commit is registered.")
    if says.status != ACTIVE:
        raise Conflict("This webhook is disabled, and nothing is sent. Enable it first.")
    [wanted] = events.named([event or says.events[0]])
    return _asked(Delivery(webhook=webhook, event=wanted, asked_by=by.user, made_at=now))


@transaction.atomic
def repeat(*, delivery: Delivery, by: Caretaker, now: datetime) -> Delivery:
    """Ask that something be delivered once more, under an identifier of its own."""
    if subscriptions.named(delivery.webhook_id, by).status != ACTIVE:
        raise Conflict("This webhook is disabled, and nothing is sent. Enable it first.")
    told = {"webhook": delivery.webhook, "entry": delivery.entry, "event": delivery.event}
    return _asked(Delivery(**told, repeats=delivery, asked_by=by.user, made_at=now))


def _asked(delivery: Delivery) -> Delivery:
    delivery.save(force_insert=True)
    facts = {"delivery": str(delivery.pk), "event": delivery.event, "repeats": str(delivery.repeats_id or "")}
    subject, by = f"webhook:{delivery.webhook_id}", delivery.asked_by
    ledger.append(
        Event.DELIVERY_REQUESTED, subject=subject, actor=by.actor if by else "", at=delivery.made_at, facts=facts
    )
    return delivery
