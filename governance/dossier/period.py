"""What a dossier of a period holds: every governance entry between two heads, and what they are about.

The heads are chosen so that every entry that says a moment of the period lies between them. Whoever has the roots of
the complete subtrees at the first head and all entries from there on recomputes the second: none can be missing. Of
the log of decisions only its growth is shown, for a platform answers millions.
"""

import base64
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.db.models import Count, Max, Min

from governance.dossier.contents import Contents
from governance.dossier.subjects import add_model, add_registration
from registry import canonical, ledger, proofs
from registry.ledger import DECISIONS, GOVERNANCE, LOGS
from registry.models import Checkpoint, LedgerEntry, RegisteredModel, Registration
from registry.refusals import Invalid, Unavailable, Unknown
from scoring.events import Event
from scoring.models import Decision, Deployment, Outcome

MOST_ENTRIES = 20_000


@dataclass(frozen=True)
class Span:
    """The entries of a log between two heads: indexes from `first` up to, without, `end`."""

    log: str
    opening: Checkpoint | None
    closing: Checkpoint | None

    @property
    def first(self) -> int:
        """The size of the log at the first head."""
        return self.opening.tree.size if self.opening else 0

    @property
    def end(self) -> int:
        """The size of the log at the second head."""
        return self.closing.tree.size if self.closing else 0


def of_period(*, start: datetime, until: datetime, model: RegisteredModel | None, now: datetime) -> Contents:
    """Collect what happened from `start` until, without, `until`, on the whole platform or to one model.

    Invalid for moments that are no period and for one with too many entries, Unavailable while its entries wait for
    their places in the log.
    """
    start, until = start.astimezone(UTC), until.astimezone(UTC)
    if not start < until <= now:
        raise Invalid("A period begins before it ends, and ends in the past at the latest now. Choose other moments.")
    for log in LOGS:
        if ledger.waiting(log).filter(at__lt=until).exists():
            raise Unavailable(f"Entries of this period wait for their places in the {log} log. Try again in seconds.")
    title = f"period of {model or 'the whole platform'} from {start.isoformat()} until {until.isoformat()}"
    contents = Contents("period", title)
    governance, decisions = _governance(start, until), _decisions(start, until)
    within = _entries(governance)
    contents.within = {entry.uuid: entry for entry in within}
    contents.files["period/governance.jsonl"] = b"".join(bytes(entry.bytes) + b"\n" for entry in within)
    serving = _serving(governance, model)
    models = _add_versions(contents, within, serving, model)
    said = {
        "from": start.isoformat(),
        "until": until.isoformat(),
        "model": model and model.name,
        "serving_at_start": {row.model.name: row.pk for row in serving},
        "decisions_by_deployment": _counts(models, start, until),
        GOVERNANCE: {**_ends(contents, governance), "peaks": _peaks(governance)},
        DECISIONS: {**_ends(contents, decisions), "events": _events(decisions)},
    }
    if decisions.closing:
        contents.files["period/decisions.growth"] = proofs.growth(decisions.first, decisions.closing).encode()
    contents.files["period/period.json"] = canonical.dump(said)
    return contents.finished()


def _governance(start: datetime, until: datetime) -> Span:
    """Return the narrowest span of heads around every entry that says a moment of the period."""
    rows = LedgerEntry.objects.filter(log=GOVERNANCE)
    last = rows.filter(at__lt=until).aggregate(place=Max("leaf_row__index"))["place"]
    if last is None:
        raise Unknown("The log begins after this period. Choose a later one.")
    first = rows.filter(at__gte=start).aggregate(place=Min("leaf_row__index"))["place"]
    heads = _heads(GOVERNANCE)
    before = heads.filter(tree__size__lte=last + 1 if first is None else first).last()
    after = heads.filter(tree__size__gt=last).first()
    if after is None:
        raise Unavailable("No checkpoint covers this period yet. The sequencer signs one within seconds.")
    span = Span(GOVERNANCE, before, after)
    if span.end - span.first > MOST_ENTRIES:
        raise Invalid(
            f"This period has {span.end - span.first:,} governance entries; a dossier takes {MOST_ENTRIES:,}. Nothing "
            "was issued. Choose shorter periods: those that adjoin leave no entry out between them."
        )
    return span


def _decisions(start: datetime, until: datetime) -> Span:
    """Return the span of heads that were signed last before the period and first after it."""
    heads = _heads(DECISIONS)
    closing = heads.filter(signed_at__gte=until).first() or heads.last()
    return Span(DECISIONS, heads.filter(signed_at__lte=start).last(), closing)


def _heads(log: str) -> Any:
    return Checkpoint.objects.filter(tree__log=log).select_related("tree").order_by("tree__size")


def _placed(span: Span) -> Any:
    rows = LedgerEntry.objects.filter(leaf_row__log=span.log, leaf_row__index__range=(span.first, span.end - 1))
    return rows.order_by("leaf_row__index")


def _entries(span: Span) -> list[LedgerEntry]:
    found = list(_placed(span))
    if any(b"\n" in bytes(entry.bytes) for entry in found):
        raise Invalid("An entry of this period holds a line feed, so it cannot be written as a line.")
    return found


def _ends(contents: Contents, span: Span) -> dict[str, int]:
    """Add the heads of a span; return their sizes."""
    for end, checkpoint in (("opening", span.opening), ("closing", span.closing)):
        if checkpoint:
            contents.files[f"period/{span.log}.{end}"] = checkpoint.cosigned.encode()
    return {"opening": span.first, "closing": span.end}


def _peaks(span: Span) -> list[str]:
    return [base64.b64encode(peak).decode() for peak in proofs.peaks(span.log, span.first)]


def _events(span: Span) -> dict[str, int]:
    return dict(_placed(span).order_by().values_list("event").annotate(Count("pk")))


def _serving(span: Span, model: RegisteredModel | None) -> list[Deployment]:
    """Return what served each model at the first head: the deployment entered last before it."""
    made = LedgerEntry.objects.filter(log=GOVERNANCE, event=Event.DEPLOYMENT_MADE, leaf_row__index__lt=span.first)
    numbers = [ledger.facts_of(entry)["deployment"] for entry in made.order_by("leaf_row__index")]
    rows = Deployment.objects.select_related("model", "package").in_bulk(numbers)
    newest = {rows[number].model_id: rows[number] for number in numbers}
    return [row for row in newest.values() if model is None or row.model_id == model.pk]


def _add_versions(
    contents: Contents, within: Iterable[LedgerEntry], serving: Iterable[Deployment], model: RegisteredModel | None
) -> set[RegisteredModel]:
    """Add every version that the period tells of or that served when it began; return the models in its scope."""
    entered = ledger.identifiers("version", within)
    rows = Registration.objects.filter(pk__in=[*entered, *(row.package.version_id for row in serving)])
    models = set(RegisteredModel.objects.filter(pk__in=ledger.identifiers("model", within)))
    for registration in rows.select_related("model", "asked_by", "version"):
        if model in (None, registration.model):
            models.add(registration.model)
            add_registration(contents, registration)
        else:
            about = ledger.about([f"version:{registration.pk}"])
            contents.enter(about.filter(event__in=(ledger.Event.VERSION_REQUESTED, ledger.Event.VERSION_REGISTERED)))
    models = {model} if model else models
    for one in models:
        add_model(contents, one)
    return models


def _counts(models: Iterable[RegisteredModel], start: datetime, until: datetime) -> dict[str, dict[str, int]]:
    """Return how many decisions were answered and outcomes recorded in the period, by deployment."""
    counts: dict[str, dict[str, int]] = {}
    for model in models:
        answered = Decision.objects.filter(model=model, at__gte=start, at__lt=until)
        known = Outcome.objects.filter(deployment__model=model, recorded_at__gte=start, recorded_at__lt=until)
        for name, rows in (("decisions", answered), ("outcomes", known)):
            for deployment, number in rows.order_by().values_list("deployment").annotate(Count("pk")):
                counts.setdefault(str(deployment), {})[name] = number
    return counts
