"""Issue a dossier: keep its files, enter its digest in the ledger, and hand it out with proofs once all is logged."""

from datetime import datetime
from uuid import UUID

from django.db import transaction

from governance.dossier import contents, verify
from governance.events import Event
from governance.models import Dossier
from registry import artifacts, canonical, ledger, proofs
from registry.ledger import GOVERNANCE
from registry.models import LedgerEntry, ModelVersion, User
from registry.refusals import Unavailable, Unknown
from scoring.models import Decision


def for_version(*, version: ModelVersion, by: User, now: datetime) -> Dossier:
    """Issue the dossier of a version."""
    return _issue("version", f"version:{version.id}", contents.of_version(version), by, now)


def for_decision(*, decision: Decision, by: User, now: datetime) -> Dossier:
    """Issue the dossier of a decision."""
    return _issue("decision", f"decision:{decision.id}", contents.of_decision(decision), by, now)


def _issue(kind: str, subject: str, found: contents.Contents, by: User, now: datetime) -> Dossier:
    digests = {path: canonical.sha256(data) for path, data in found.files.items()}
    manifest = canonical.dump({"format": verify.FORMAT, "title": found.title, "files": digests})
    files = {**found.files, "manifest.json": manifest}
    kept = artifacts.put(verify.pack(files))
    digest = canonical.sha256(manifest)
    with transaction.atomic():
        facts = {"dossier": digest, "title": found.title}
        entry = ledger.append(Event.DOSSIER_ISSUED, subject=subject, actor=by.actor, at=now, facts=facts)
        return Dossier.objects.create(
            kind=kind,
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
    issued = LedgerEntry.objects.get(uuid=dossier.entry)
    files["issued.json"] = bytes(issued.bytes)
    entries = {
        path.removeprefix("entries/").removesuffix(".json"): None for path in files if path.startswith("entries/")
    }
    rows = LedgerEntry.objects.in_bulk([path.partition("/")[2] for path in entries], field_name="uuid")
    found = {path: rows[UUID(path.partition("/")[2])] for path in entries}
    found[f"{GOVERNANCE}/issued"] = issued
    for log in {entry.log for entry in found.values()}:
        checkpoint = proofs.latest_checkpoint(log)
        files[f"checkpoints/{log}"] = checkpoint.note.encode()
        mine = {path: entry for path, entry in found.items() if entry.log == log}
        for path, proof in proofs.inclusions(mine, checkpoint).items():
            files[f"proofs/{path}.tlog-proof"] = proof.encode()
    return verify.pack(files)


def ready(dossier: Dossier) -> bool:
    """Say whether the dossier can be fetched yet."""
    try:
        archive(dossier)
    except Unavailable:
        return False
    return True


def by_id(dossier_id: UUID) -> Dossier:
    """Return an issued dossier."""
    dossier = Dossier.objects.filter(pk=dossier_id).select_related("issued_by").first()
    if dossier is None:
        raise Unknown(f"No dossier {dossier_id} was issued.")
    return dossier
