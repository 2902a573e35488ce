"""The witness protocol (tlog-witness): what a log sends, what a witness answers, and how a witness decides.

Nothing here keeps a state or a socket. A witness accepts a request against the keys of the logs it knows, judges it
against the checkpoint it cosigned last, stores, and only then signs.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from registry.refusals import Mismatch, Refusal
from registry.tlog import merkle, strict
from registry.tlog.checkpoints import Checkpoint
from registry.tlog.notes import Note, Signature, signature_lines
from registry.tlog.vkeys import Verifier

TEXT = "text/plain; charset=utf-8"
SIZE = "text/x.tlog.size"  # the media type of a 409 that says which size the witness knows
LARGEST_REQUEST = 64 * 1024  # bytes


class Declined(Refusal):
    """A request that a witness does not cosign, with the HTTP status that says so.

    `known` is the size the witness cosigned last, where the log should have begun there (409).
    """

    def __init__(self, status: int, detail: str, known: int | None = None) -> None:
        super().__init__(detail)
        self.status, self.known = status, known


class Forked(Declined):
    """The log signed two trees of one size: both notes together prove it."""


@dataclass(frozen=True)
class Request:
    """The body of add-checkpoint: from which size, with which consistency proof, to which signed checkpoint."""

    old: int
    hashes: Sequence[bytes]
    note: str

    def __str__(self) -> str:
        return f"old {self.old}\n{strict.encoded(self.hashes)}\n{self.note}"

    @classmethod
    def parse(cls, body: bytes | str) -> "Request":
        """Read a body; Mismatch unless every line is in its place. The note is not judged here."""
        head, blank, note = strict.utf8(body, "a request").partition("\n\n")
        first, *lines = head.split("\n")
        if not blank or not first.startswith("old "):
            raise Mismatch("The request does not begin with `old SIZE`, or no empty line follows the proof.")
        return cls(strict.number(first[4:]), strict.digests(lines), note)


@dataclass(frozen=True)
class Submission:
    """A request whose checkpoint its log signed; the note keeps the log's verified signatures and no others."""

    old: int
    hashes: Sequence[bytes]
    note: Note
    checkpoint: Checkpoint

    @classmethod
    def accept(cls, body: bytes, keys: Callable[[str], Iterable[Verifier]]) -> "Submission":
        """Check what needs no state: form (400), a log with keys by its origin (404), signature (403), sizes (400)."""
        try:
            request = Request.parse(body)
            note = Note.parse(request.note)
            checkpoint = Checkpoint.parse(note.text)
        except Mismatch as mismatch:
            raise Declined(400, mismatch.detail) from mismatch
        trusted = list(keys(checkpoint.origin))
        if not trusted:
            raise Declined(404, f"This witness does not know the log {checkpoint.origin}.")
        signatures = _by_log(note, trusted)
        if request.old > checkpoint.size:
            raise Declined(400, f"The old size {request.old} is above the size of the checkpoint, {checkpoint.size}.")
        return cls(request.old, request.hashes, Note(note.text, signatures), checkpoint)

    def judge(self, known: Checkpoint | None) -> None:
        """Raise Declined unless this extends the checkpoint cosigned last: 409 for another start, 422 for another tree.

        A log never cosigned is known as the empty tree.
        """
        known = known or Checkpoint(self.checkpoint.origin, 0, merkle.EMPTY)
        new = self.checkpoint
        if self.old != known.size:
            raise Declined(409, f"The checkpoint cosigned last has size {known.size}.", known.size)
        if new.size == known.size and new.root != known.root:
            raise Forked(422, f"Another tree of size {known.size} was cosigned: this log shows two histories.")
        try:
            merkle.verify_consistency(self.old, known.root, new.size, new.root, self.hashes)
        except Mismatch as mismatch:
            raise Declined(422, mismatch.detail) from mismatch


def _by_log(note: Note, keys: Sequence[Verifier]) -> tuple[Signature, ...]:
    """Return the signatures by these keys, each verified; Declined (403) when there is none or one is false."""
    known = {(key.name, key.id) for key in keys}
    found = tuple(dict.fromkeys(line for line in note.signatures if (line.name, line.id) in known))
    try:
        signed = [time for key in keys for time in note.signed_by(key)]
    except Mismatch as mismatch:
        raise Declined(403, mismatch.detail) from mismatch
    if not signed:
        raise Declined(403, "The checkpoint carries no signature by a key of its log that this witness knows.")
    return found


def cosignatures(answer: bytes, text: bytes, keys: Iterable[Verifier]) -> list[Signature]:
    """Return the lines of an answer (200) that these keys made for the text of a checkpoint; others are ignored.

    Mismatch when the answer is malformed, or a line by one of these keys is false or has no time.
    """
    lines = signature_lines(strict.utf8(answer, "an answer of a witness"))
    found = []
    for key in keys:
        for line in lines:
            if (line.name, line.id) == (key.name, key.id):
                if not line.check(key, text):
                    raise Mismatch(f"The cosignature by {key.name} has no time.")
                found.append(line)
    return found


def told_size(content_type: str, answer: bytes) -> int | None:
    """Return the size a witness said it knows (409); None when it said none, which a log must take for an alarm."""
    if content_type.partition(";")[0].strip() != SIZE or not answer.endswith(b"\n"):
        return None
    try:
        return strict.number(strict.utf8(answer[:-1], "a size"))
    except Mismatch:
        return None
