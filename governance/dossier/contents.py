"""The contents of a dossier while they are collected: files by path, and the entries whose proofs are added later."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from django.conf import settings

from governance.dossier import verify
from registry import canonical, ledger, people, proofs
from registry.ledger import LOGS
from registry.models import LedgerEntry
from registry.refusals import Invalid
from scoring import deployments

MOST_FILES = 20_000  # proofs come on top, and a plain zip holds 65,535 files
MOST_BYTES = 200_000_000
_HERE = Path(__file__).parent


@dataclass
class Contents:
    """What a dossier of this kind will hold. `within`: entries of a period, which need no proof of their own."""

    kind: str
    title: str
    files: dict[str, bytes] = field(default_factory=dict)
    entries: dict[str, LedgerEntry] = field(default_factory=dict)
    within: dict[Any, LedgerEntry] = field(default_factory=dict)

    def record(self, kind: str, value: Any) -> None:
        """Add a record under its digest."""
        self.files[f"records/{kind}/{canonical.digest(value)}.json"] = canonical.dump(value)

    def text(self, kind: str, text: str) -> None:
        """Add a plain text under the digest of its bytes."""
        self.files[f"records/{kind}/{canonical.sha256(text.encode())}.txt"] = text.encode()

    def named(self) -> set[Any]:
        """Return what the facts of the entries say: digests among them."""
        entries = [*self.entries.values(), *self.within.values()]
        return {fact for entry in entries for fact in ledger.facts_of(entry).values() if isinstance(fact, str)}

    def enter(self, entries: Iterable[LedgerEntry]) -> None:
        """Add log entries."""
        for entry in entries:
            if entry.uuid not in self.within:
                path = f"{entry.log}/{entry.uuid}"
                self.entries[path] = entry
                self.files[f"entries/{path}.json"] = bytes(entry.bytes)

    def finished(self) -> "Contents":
        """Add what every dossier holds: people, keys, trust policy, verifier, leaflet; Invalid when it is too large."""
        self._add_people()
        for log in LOGS:
            self.files[f"keys/{log}.vkey"] = f"{proofs.verifier(log)}\n".encode()
        self.files["keys/warrants.vkey"] = f"{deployments.warrant_key()}\n".encode()
        policy = getattr(settings, "LOG_POLICY_FILE", None)
        if policy and Path(policy).exists():
            self.files["log-policy"] = Path(policy).read_bytes()
        self.files["verify.py"] = Path(verify.__file__).read_bytes()
        self.files["README.txt"] = (_HERE / "README.txt").read_text().replace("{title}", self.title).encode()
        size = sum(map(len, self.files.values()))
        if len(self.files) > MOST_FILES or size > MOST_BYTES:
            raise Invalid(
                f"This dossier would hold {len(self.files):,} files of {size:,} bytes; {MOST_FILES:,} files and "
                f"{MOST_BYTES:,} bytes are the most. Nothing was issued. Choose one version, or a shorter period."
            )
        return self

    def _add_people(self) -> None:
        """Say who stands behind the stable names that the entries use, and show which roles they were given."""
        entries = [*self.entries.values(), *self.within.values()]
        users = people.known(entry.actor for entry in entries)
        self.enter(ledger.about(users).filter(event=ledger.Event.PERSON_ADDED))
        said = {
            actor: {"name": user.get_full_name() or user.username, "roles": people.roles_of(user)}
            for actor, user in users.items()
        }
        self.files["people.json"] = canonical.dump(said)
