"""The ledger browser, and the published checkpoints."""

import orjson
from django.db.models import Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_safe

from registry import heads, ledger, proofs
from registry.ids import is_identifier
from registry.ledger import DECISIONS, GOVERNANCE, LOGS
from registry.models import Checkpoint, LedgerEntry, Tree
from registry.pages import kept, lines, needs, screenful, whole_number
from registry.refusals import Refusal
from registry.tlog import merkle

SEARCHED = 100_000  # newest entries of the log of decisions among which an event is looked for


@require_safe
@needs("registry.read")
def ledger_page(request: HttpRequest) -> HttpResponse:
    """Show one log, newest entries first."""
    log = _known(request.GET.get("log", GOVERNANCE))
    before = whole_number(request.GET.get("before", ""))
    event, subject = (request.GET.get(name, "").strip() for name in ("event", "subject"))
    placed = _filtered(LedgerEntry.objects.filter(log=log, leaf_row__log=log), log, event, subject)
    placed = placed.order_by("-leaf_row__index")
    if before is not None:
        placed = placed.filter(leaf_row__index__lt=before)
    rows, more = screenful(placed)
    waiting = _filtered(ledger.waiting(log).reverse(), log, event, subject)[:20] if before is None else ()
    context = {
        "section": "ledger",
        "logs": LOGS,
        "log": log,
        "event": event,
        "subject": subject,
        "before": before,
        "lines": lines([*waiting, *rows]),
        "next": rows[-1].leaf_row.index if more else None,
        "checkpoint": _checkpoint(log),
        "searched": SEARCHED if log == DECISIONS and event else None,
        "published": f"{proofs.origin(log)}/checkpoint",
        "kept": kept(log=log, event=event, subject=subject),
    }
    return render(request, "ledger.html", context)


def _filtered(rows: QuerySet[LedgerEntry], log: str, event: str, subject: str) -> QuerySet[LedgerEntry]:
    rows = rows.select_related("leaf_row")
    if event:
        rows = rows.filter(event__startswith=event)
    if log != DECISIONS:
        return rows.filter(subject=subject) if subject else rows
    # No index tells its many entries by event or subject; but a decision's entry goes by the decision's identifier.
    if event:
        head = Tree.objects.filter(log=log).order_by("-size").first()
        rows = rows.filter(Q(leaf_row=None) | Q(leaf_row__index__gte=(head.size if head else 0) - SEARCHED))
    identity = subject.removeprefix("decision:")
    if subject:
        return rows.filter(uuid=identity) if is_identifier(identity) else rows.none()
    return rows


def _known(log: str) -> str:
    if log not in LOGS:
        raise Http404(f"There is no log named {log[:40]}.")
    return log


def _checkpoint(log: str) -> Checkpoint | None:
    try:
        return heads.latest(log)
    except Refusal:
        return None


@require_safe
@needs("registry.read")
def ledger_entry(request: HttpRequest, log: str, index: int) -> HttpResponse:
    """Show one entry with its proof of inclusion."""
    return _entry_page(request, proofs.entry_at(_known(log), index))


@require_safe
@needs("registry.read")
def ledger_waiting(request: HttpRequest, entry: str) -> HttpResponse:
    """Show an entry by its identifier until it has a place, then lead there."""
    found = get_object_or_404(LedgerEntry.objects.select_related("leaf_row"), uuid=entry)
    leaf = getattr(found, "leaf_row", None)
    return redirect("ledger-entry", found.log, leaf.index) if leaf else _entry_page(request, found)


def _entry_page(request: HttpRequest, entry: LedgerEntry) -> HttpResponse:
    data = bytes(entry.bytes)
    checkpoint, proof = _checkpoint(entry.log), ""
    if checkpoint:
        try:
            proof = proofs.inclusions({"entry": entry}, checkpoint)["entry"]
        except Refusal:
            proof = ""
    context = {
        "section": "ledger",
        "entry": entry,
        "line": lines([entry])[0],
        "raw": data.decode(errors="backslashreplace"),
        "pretty": _pretty(data),
        "leaf": merkle.leaf_hash(data).hex(),
        "proof": proof,
        "checkpoint": checkpoint,
    }
    return render(request, "ledger_entry.html", context)


def _pretty(data: bytes) -> str:
    """Return what an entry says, laid out; its bytes where they are nothing that can be read."""
    try:
        return orjson.dumps(orjson.loads(data), option=orjson.OPT_INDENT_2).decode()
    except (orjson.JSONDecodeError, orjson.JSONEncodeError):
        return data.decode(errors="backslashreplace")
