"""The witness: it cosigns what logs sign only while every new tree extends the one it cosigned before.

It is meant to be run by somebody else than the log's operator, needs no database, and keeps for each log a folder named
by SHA-256 of the origin, with the note it cosigned last. Check and store happen under a lock on a file in there, so not
even two servers on one state can cosign two histories; the note is on disk before the cosignature leaves.
"""

import fcntl
import hashlib
import logging
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from registry import durable
from registry.refusals import Mismatch, Unavailable
from registry.tlog.checkpoints import Checkpoint
from registry.tlog.notes import Note, Signature
from registry.tlog.vkeys import COSIGNATURE, ED25519, Signer, Verifier
from registry.tlog.witnessing import LARGEST_REQUEST, SIZE, TEXT, Declined, Forked, Submission

logger = logging.getLogger(__name__)

_REASONS = {
    200: "OK",
    400: "Bad Request",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    409: "Conflict",
    413: "Content Too Large",
    422: "Unprocessable Content",
    503: "Service Unavailable",
}


def cosigner(key: Signer) -> Signer:
    """Return a key that cosigns: a plain Ed25519 key serves as the cosigner of its name."""
    return Signer(key.name, key.seed, COSIGNATURE) if key.kind == ED25519 else key


def folder_of(origin: str) -> str:
    """Return the name under which a witness keeps and shows what it knows of a log (lower-case hex)."""
    return hashlib.sha256(origin.encode()).hexdigest()


class Witness:
    """One name with its keys, the logs it watches, and what it cosigned last of each."""

    def __init__(
        self,
        *,
        signers: Iterable[Signer],
        logs: Iterable[Verifier],
        state: Path,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.signers = [cosigner(signer) for signer in signers]
        self.logs: dict[str, list[Verifier]] = {}
        for key in logs:
            self.logs.setdefault(key.name, []).append(key)
        self.state, self.clock = state, clock

    def add(self, body: bytes) -> str:
        """Cosign the checkpoint of a request (add-checkpoint) and return the signature lines.

        Raises Declined when it must not be cosigned and Unavailable when the witness itself is not fit to; nothing is
        stored then.
        """
        submission = Submission.accept(body, lambda origin: self.logs.get(origin, []))
        folder = self.state / folder_of(submission.checkpoint.origin)
        with _locked(folder):
            known = self._known(folder)
            try:
                submission.judge(Checkpoint.parse(known.text) if known else None)
            except Forked:
                self._keep_evidence(folder, submission)
                raise
            return self._cosign(folder, submission.note)

    def latest(self, name: str) -> str | None:
        """Return the note cosigned last of the log with this folder name; None where there is none."""
        if name not in map(folder_of, self.logs):
            return None
        known = self._known(self.state / name)
        return str(known) if known else None

    def newest_time(self) -> int:
        """Return the time of the newest cosignature of any log, in seconds since 1970; 0 before the first."""
        notes = [self._known(self.state / folder_of(origin)) for origin in self.logs]
        return max((self._time(note) for note in notes if note), default=0)

    def _cosign(self, folder: Path, note: Note) -> str:
        now, newest = int(self.clock()), self.newest_time()
        if now < newest or now < 1:
            raise Unavailable(
                f"The clock of this witness says {now}, but it cosigned at {newest} before. Nothing is cosigned until "
                "its clock is right again."
            )
        lines = tuple(Signature.by(signer, note.text, now) for signer in self.signers)
        durable.write(folder / "checkpoint", str(Note(note.text, note.signatures + lines)).encode())
        return "".join(map(str, lines))

    def _known(self, folder: Path) -> Note | None:
        try:
            note = Note.parse((folder / "checkpoint").read_bytes())
            if folder_of(Checkpoint.parse(note.text).origin) != folder.name:
                raise Mismatch("It is of another log.")
        except FileNotFoundError:
            return None
        except Mismatch as mismatch:
            raise Unavailable(
                f"The state of this witness in {folder.name} is damaged: {mismatch.detail} Put the note it cosigned "
                "last back; beginning anew could cosign a second history."
            ) from mismatch
        return note

    def _time(self, note: Note) -> int:
        return max((time for signer in self.signers for time in note.signed_by(signer.verifier)), default=0)

    def _keep_evidence(self, folder: Path, submission: Submission) -> None:
        checkpoint = submission.checkpoint
        name = f"fork-{checkpoint.size}-{checkpoint.root.hex()}"  # only the log's key can make one of these
        logger.error("%s signed two trees of size %d; see %s/%s", checkpoint.origin, checkpoint.size, folder.name, name)
        if not (folder / name).exists():
            durable.write(folder / name, str(submission.note).encode())


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold a log's lock: one request at a time, whichever thread or process of whichever server it is in."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # freed when the file is closed, also by a death
        yield


class Application:
    """The witness over HTTP (WSGI): POST /add-checkpoint, GET /<folder>/checkpoint, GET /health."""

    def __init__(self, witness: Witness) -> None:
        self.witness = witness

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        """Answer one request."""
        kind = TEXT
        try:
            status, answer = self._answer(environ["REQUEST_METHOD"], environ["PATH_INFO"], environ["wsgi.input"])
        except Declined as declined:
            status, answer = declined.status, f"{declined.detail}\n"
            if declined.known is not None:
                kind, answer = SIZE, f"{declined.known}\n"
        except (Unavailable, Mismatch) as refusal:
            logger.error(refusal.detail)
            status, answer = 503, f"{refusal.detail}\n"
        except OSError:
            logger.exception("The state of this witness cannot be read or written.")
            status, answer = 503, "The state of this witness cannot be read or written. Try again later.\n"
        body = answer.encode()
        headers = [("Content-Type", kind), ("Content-Length", str(len(body))), ("Cache-Control", "no-store")]
        start_response(f"{status} {_REASONS[status]}", headers)
        return [] if environ["REQUEST_METHOD"] == "HEAD" else [body]

    def _answer(self, method: str, path: str, body: Any) -> tuple[int, str]:
        if path == "/add-checkpoint":
            return self._add(body) if method == "POST" else (405, "Send a checkpoint with POST.\n")
        if method not in ("GET", "HEAD"):
            return 405, "This can only be read.\n"
        if path == "/health":
            return 200, "ok\n"
        name, _, rest = path[1:].partition("/")
        note = self.witness.latest(name) if rest == "checkpoint" else None
        return (404, "This witness cosigned no such checkpoint.\n") if note is None else (200, note)

    def _add(self, stream: Any) -> tuple[int, str]:
        body = stream.read(LARGEST_REQUEST + 1)
        if len(body) > LARGEST_REQUEST:
            return 413, f"A request has at most {LARGEST_REQUEST} bytes.\n"
        return 200, self.witness.add(body)
