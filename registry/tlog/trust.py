"""Trust policies (tlog-policy): which logs and witnesses somebody trusts, and how many must have cosigned.

    log VKEY [URL]
    witness NAME VKEY [URL]
    group NAME all|any|NUMBER MEMBER…
    quorum NAME|none

This is the file an auditor pins. A line may only name what stands above it, and each name is a member of at most one
group, so that no witness counts twice.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from registry.refusals import Mismatch
from registry.tlog import strict
from registry.tlog.checkpoints import Checkpoint
from registry.tlog.notes import Note
from registry.tlog.vkeys import COSIGNATURE, ED25519, MLDSA44, Verifier

NONE = "none"
ELDER = {"go.sum database tree": "sum.golang.org"}  # logs older than the rule that a key is named as its origin
LARGEST_POLICY = 1_000_000  # bytes
_FOREIGN = re.compile(rb"[^\t\n\x20-\x7e\x80-\xff]")


@dataclass(frozen=True)
class Party:
    """A log or a witness: its key, and where it is spoken to if the policy says so."""

    key: Verifier
    url: str | None


@dataclass(frozen=True)
class Group:
    """So many of these witnesses and groups."""

    threshold: int
    members: tuple[str, ...]


@dataclass(frozen=True)
class Trusted:
    """What a policy found in a note: the checkpoint, and the time (seconds since 1970) of each witness by its name."""

    checkpoint: Checkpoint
    cosigners: dict[str, int]


@dataclass
class Policy:
    """The logs, witnesses by name, groups by name, and the name that must be satisfied."""

    logs: list[Party] = field(default_factory=list)
    witnesses: dict[str, Party] = field(default_factory=dict)
    groups: dict[str, Group] = field(default_factory=dict)
    quorum: str = ""

    @classmethod
    def parse(cls, data: bytes) -> "Policy":
        """Read a policy file; Mismatch names the first line that is not as the format says."""
        if len(data) > LARGEST_POLICY or _FOREIGN.search(data):
            raise Mismatch("This is not a trust policy: it is too long or holds control characters.")
        policy = cls()
        for number, words in _lines(data):
            try:
                policy._read(words)
            except Mismatch as mismatch:
                raise Mismatch(f"Line {number} of the trust policy: {mismatch.detail}") from mismatch
        if not policy.quorum:
            raise Mismatch("The trust policy has no quorum line. `quorum none` asks for no witness.")
        return policy

    def log_keys(self, origin: str) -> list[Verifier]:
        """Return the keys under which the log of this origin may sign."""
        name = ELDER.get(origin, origin)
        return [log.key for log in self.logs if log.key.name == name]

    def verify(self, note: bytes | str) -> Trusted:
        """Return what a signed checkpoint says; Mismatch unless a listed log signed it and the quorum cosigned it."""
        found = Note.parse(note)
        checkpoint = Checkpoint.parse(found.text)
        keys = self.log_keys(checkpoint.origin)
        if not keys:
            raise Mismatch(f"The trust policy lists no log named {checkpoint.origin}.")
        if not [time for key in keys for time in found.signed_by(key)]:
            raise Mismatch(f"The checkpoint carries no signature by the log {checkpoint.origin}.")
        cosigners = dict(self._cosigners(found))
        if not self.satisfied(cosigners):
            who = ", ".join(cosigners) or "nobody"
            raise Mismatch(f"The quorum {self.quorum!r} is not reached: {who} cosigned.")
        return Trusted(checkpoint, cosigners)

    def satisfied(self, cosigners: Sequence[str] | dict[str, int]) -> bool:
        """Return whether these witnesses, by name, make up the quorum."""
        met = set(cosigners) & set(self.witnesses)
        for name, group in self.groups.items():  # a group names only what was defined before it
            if len(met & set(group.members)) >= group.threshold:
                met.add(name)
        return self.quorum == NONE or self.quorum in met

    def _cosigners(self, note: Note) -> Iterator[tuple[str, int]]:
        for name, witness in self.witnesses.items():
            times = note.signed_by(witness.key)
            if 0 in times:
                raise Mismatch(f"The cosignature by {name} has no time, so it says nothing about the newest tree.")
            if times:
                yield name, times[-1]

    def _read(self, words: list[str]) -> None:
        match words:
            case ["log", vkey, *url] if len(url) <= 1:
                _add_party(self.logs, _party(vkey, url, (ED25519, MLDSA44)))
            case ["witness", name, vkey, *url] if len(url) <= 1:
                known = list(self.witnesses.values())
                _add_party(known, _party(vkey, url, (COSIGNATURE, MLDSA44)))
                self.witnesses[self._fresh(name)] = known[-1]
            case ["group", name, threshold, *members] if members:
                self.groups[self._fresh(name)] = self._group(threshold, tuple(members))
            case ["quorum", name] if not self.quorum:
                if name != NONE and not self._defined(name):
                    raise Mismatch(f"nothing named {name!r} is defined above.")
                self.quorum = name
            case _:
                raise Mismatch(f"{' '.join(words)[:60]!r} is not a line of the format, or a second quorum.")

    def _defined(self, name: str) -> bool:
        return name in self.witnesses or name in self.groups

    def _fresh(self, name: str) -> str:
        if name == NONE or self._defined(name):
            raise Mismatch(f"the name {name!r} is taken.")
        return name

    def _group(self, threshold: str, members: tuple[str, ...]) -> Group:
        used = [member for group in self.groups.values() for member in group.members]
        for member in members:
            if not self._defined(member):
                raise Mismatch(f"nothing named {member!r} is defined above.")
            if used.count(member) or members.count(member) > 1:
                raise Mismatch(f"{member!r} is a member more than once.")
        needed = {"any": 1, "all": len(members)}.get(threshold)
        needed = strict.number(threshold) if needed is None else needed
        if not 1 <= needed <= len(members):
            raise Mismatch(f"{needed} of {len(members)} members cannot be asked for.")
        return Group(needed, members)


def _lines(data: bytes) -> Iterator[tuple[int, list[str]]]:
    """Yield number and words of each line that says something. Names are opaque bytes: they need not be UTF-8."""
    for number, line in enumerate(data.split(b"\n"), 1):
        words = [word.decode(errors="surrogateescape") for word in re.split(rb"[ \t]+", line.strip(b" \t")) if word]
        if words and not words[0].startswith("#"):
            yield number, words


def _party(vkey: str, url: list[str], kinds: tuple[int, ...]) -> Party:
    key = Verifier.parse(vkey)
    if key.kind not in kinds:
        raise Mismatch(f"a key of kind {key.kind:#04x} cannot stand in this line.")
    return Party(key, url[0] if url else None)


def _add_party(parties: list[Party], party: Party) -> None:
    if any(known.key.public == party.key.public for known in parties):
        raise Mismatch("this public key is listed already.")
    parties.append(party)
