"""Issue a dossier: keep its files, enter its digest in the ledger, and hand it out with proofs once all is logged."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from uuid import UUID

import orjson
from django.db import connection, transaction

from governance.dossier import period, subjects, verify
from governance.dossier.contents import Contents
from governance.events import Event
from governance.models import Dossier
from registry import artifacts, canonical, heads, ledger, proofs
from registry.ledger import GOVERNANCE, LOGS
from registry.models import Leaf, LedgerEntry, ModelVersion, RegisteredModel, User
from registry.refusals import Conflict, Unavailable, Unknown
from scoring.models import Decision

_PERIOD = "period/period.json"


def for_version(*, version: ModelVersion, by: User, now: datetime) -> Dossier:
    """Issue the dossier of a version."""
    with _one_moment():
        found = subjects.of_version(version)
    return _issue(f"version:{version.id}", found, by, now)


def for_decision(*, decision: Decision, by: User, now: datetime) -> Dossier:
    """Issue the dossier of a decision."""
    with _one_moment():
        found = subjects.of_decision(decision)
    return _issue(f"decision:{decision.id}", found, by, now)


def for_model(*, model: RegisteredModel, by: User, now: datetime) -> Dossier:
    """Issue the dossier of a model: all its versions, deployments, alerts, cases and policies."""
    with _one_moment():
        found = subjects.of_model(model)
    return _issue(f"model:{model.id}", found, by, now)


def for_period(
    *, start: datetime, until: datetime, by: User, now: datetime, model: RegisteredModel | None = None
) -> Dossier:
    """Issue the dossier of a period, of one model or of the whole platform: every governance entry in it."""
    with _one_moment():
        found = period.of_period(start=start, until=until, model=model, now=now)
    return _issue(f"period:{model.id if model else 'platform'}", found, by, now)


@contextmanager
def _one_moment() -> Iterator[None]:
    """Read everything as of one moment, so that no record is newer than the entries that name it."""
    outermost = not connection.in_atomic_block
    with transaction.atomic():
        if outermost:
            with connection.cursor() as cursor:
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        yield


def _issue(subject: str, found: Contents, by: User, now: datetime) -> Dossier:
    digests = {path: canonical.sha256(data) for path, data in found.files.items()}
    said = {"format": verify.FORMAT, "kind": found.kind, "title": found.title, "files": digests}
    manifest = canonical.dump(said)
    kept = artifacts.put(verify.pack({**found.files, "manifest.json": manifest}))
    digest = canonical.sha256(manifest)
    with transaction.atomic():
        facts = {"dossier": digest, "title": found.title}
        entry = ledger.append(Event.DOSSIER_ISSUED, subject=subject, actor=by.actor, at=now, facts=facts)
        return Dossier.objects.create(
            kind=found.kind,
            subject=subject,
            title=found.title,
            digest=digest,
            content=kept,
            entry=entry.uuid,
            issued_by=by,
            issued_at=now,
        )


def archive(dossier: Dossier) -> bytes:
    """Return the dossier's bytes with every proof; Unavailable while one of its entries has no place in the log."""
    files = verify.unpack(artifacts.get(dossier.content))
    if not ready(dossier):
        raise Unavailable("An entry has no place in the log yet. The sequencer gives it one within seconds.")
    entries = _entries(dossier, files)
    for path in (f"{GOVERNANCE}/{name}" for name in ("issued", "before", "after")):
        if path in entries:
            files[f"{path.partition('/')[2]}.json"] = bytes(entries[path].bytes)
    for log in LOGS:
        _prove(files, log, {path: entry for path, entry in entries.items() if entry.log == log})
    return verify.pack(files)


def _prove(files: dict[str, bytes], log: str, entries: Mapping[str, LedgerEntry]) -> None:
    """Add the newest head of a log, the place of each entry under it, and that it extends the head of a period."""
    closing = orjson.loads(files[_PERIOD])[log]["closing"] if _PERIOD in files else 0
    if not entries and not closing:
        return
    checkpoint = heads.latest(log)
    files[f"checkpoints/{log}"] = checkpoint.cosigned.encode()
    for path, proof in proofs.inclusions(entries, checkpoint).items():
        files[f"proofs/{path}.tlog-proof"] = proof.encode()
    if _PERIOD in files:
        files[f"proofs/{log}/growth"] = proofs.growth(closing, checkpoint).encode()


def ready(dossier: Dossier) -> bool:
    """Say whether the dossier can be fetched: the entry made last, its own, has its place under a checkpoint."""
    place = Leaf.objects.filter(entry__uuid=dossier.entry).first()
    return bool(place and heads.covers(GOVERNANCE, place.index))


def _entries(dossier: Dossier, files: Mapping[str, bytes]) -> dict[str, LedgerEntry]:
    """Return the entries that need a proof by their path under proofs/: those held, its own, a period's neighbours."""
    paths = [path.removeprefix("entries/").removesuffix(".json") for path in files if path.startswith("entries/")]
    identities = {path: UUID(path.partition("/")[2]) for path in paths}
    rows = LedgerEntry.objects.in_bulk([*identities.values(), dossier.entry], field_name="uuid")
    found = {path: rows[identity] for path, identity in identities.items()}
    return {**found, **_neighbours(files), f"{GOVERNANCE}/issued": rows[dossier.entry]}


def _neighbours(files: Mapping[str, bytes]) -> dict[str, LedgerEntry]:
    """Return the entries before and after those of a period; Conflict when one behind it belongs to the period."""
    if _PERIOD not in files:
        return {}
    said = orjson.loads(files[_PERIOD])
    first, end = said[GOVERNANCE]["opening"], said[GOVERNANCE]["closing"]
    after = proofs.entry_at(GOVERNANCE, end)
    if after.at < datetime.fromisoformat(said["until"]):
        raise Conflict("An entry of this period was committed after the dossier was issued. Issue it once more.")
    before = {f"{GOVERNANCE}/before": proofs.entry_at(GOVERNANCE, first - 1)} if first else {}
    return {**before, f"{GOVERNANCE}/after": after}


def by_id(dossier_id: UUID) -> Dossier:
    """Return an issued dossier."""
    dossier = Dossier.objects.filter(pk=dossier_id).select_related("issued_by").first()
    if dossier is None:
        raise Unknown(f"No dossier {dossier_id} was issued.")
    return dossier
