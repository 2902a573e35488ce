"""Issue a dossier: keep its files, enter its digest in the ledger, and hand it out with proofs once all is logged."""

from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

from django.db import transaction

from governance.dossier import contents, verify
from governance.events import Event
from governance.models import Dossier
from registry import artifacts, canonical, heads, ledger, proofs
from registry.ledger import GOVERNANCE
from registry.models import Checkpoint, Leaf, LedgerEntry, ModelVersion, User
from registry.refusals import Unknown
from scoring.models import Decision

_ISSUED = f"{GOVERNANCE}/issued"  # where the entry of the dossier itself is found


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
    entries = _entries(dossier, files)
    files["issued.json"] = bytes(entries[_ISSUED].bytes)
    for log in sorted({entry.log for entry in entries.values()}):
        checkpoint = heads.latest(log)
        files[f"checkpoints/{log}"] = checkpoint.cosigned.encode()
        mine = {path: entry for path, entry in entries.items() if entry.log == log}
        for path, proof in proofs.inclusions(mine, checkpoint).items():
            files[f"proofs/{path}.tlog-proof"] = proof.encode()
    return verify.pack(files)


def ready(dossier: Dossier) -> bool:
    """Say whether the dossier can be fetched: the entry made last, its own, has its place under a checkpoint."""
    place = Leaf.objects.filter(entry__uuid=dossier.entry).first()
    return bool(place and Checkpoint.objects.filter(tree__log=GOVERNANCE, tree__size__gt=place.index).exists())


def _entries(dossier: Dossier, files: Mapping[str, bytes]) -> dict[str, LedgerEntry]:
    """Return the entries a dossier holds by their path under entries/ and proofs/, its own among them."""
    paths = [path.removeprefix("entries/").removesuffix(".json") for path in files if path.startswith("entries/")]
    identities = {path: UUID(path.partition("/")[2]) for path in paths} | {_ISSUED: dossier.entry}
    rows = LedgerEntry.objects.in_bulk(identities.values(), field_name="uuid")
    return {path: rows[identity] for path, identity in identities.items()}


def by_id(dossier_id: UUID) -> Dossier:
    """Return an issued dossier."""
    dossier = Dossier.objects.filter(pk=dossier_id).select_related("issued_by").first()
    if dossier is None:
        raise Unknown(f"No dossier {dossier_id} was issued.")
    return dossier
