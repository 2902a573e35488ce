"""The journal of a host: what the database could not take is kept in a file until it can, by all workers together.

A file is a chain of frames: the length of a payload (4 bytes, big-endian), the payload, and the SHA-256 over the hash
before it, the length and the payload. The first payload names the journal, the others are records, from place 1 on.
Appending and reading happen under one lock of the file system. A frame counts once fsync has returned; `acknowledged`
beside the file says how far that is. Whatever is broken behind that point was never promised to anybody: a writer died
there; it is cut off, and kept as `torn-…`. Whatever is broken before it is damage, and nothing is written then.
"""

import hashlib
import mmap
import os
import struct
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import orjson

from registry import durable
from registry.ids import uuid7
from registry.refusals import Mismatch, Unavailable

MODE, FOLDER_MODE = 0o640, 0o750  # it holds personal data: its owner, and a group that may drain it
LARGEST = 16 * 1024 * 1024  # bytes of a payload: more is damage, not a length
_LENGTH, _HASH = struct.Struct(">I"), hashlib.sha256().digest_size
_POINT = struct.Struct(">32sQ")  # of `acknowledged`: the journal's name, and the end of what counts
_START = bytes(_HASH)


@dataclass(frozen=True)
class Kept:
    """A record where it stands, `at` so many bytes into the file; `str` is how its entry in the log names the place."""

    journal: str
    place: int
    hash: bytes
    payload: bytes
    at: int

    def __str__(self) -> str:
        return f"{self.journal}/{self.place}/{self.hash.hex()}"


@dataclass(frozen=True)
class Head:
    """How far a journal was read: its name, its records, and the hash of the last one."""

    journal: str
    records: int
    hash: bytes


Frames = Iterator[tuple[Kept, int]]


@dataclass
class _Seen:
    """How far this process has read which file: identity of the file, its name, bytes, records and hash so far."""

    file: tuple[int, int] = (0, 0)
    name: str = ""
    end: int = 0
    count: int = 0
    hash: bytes = _START


@dataclass
class Journal:
    """The journal in a folder, as one process reads and writes it. `read` is called with each record, once a file.

    `forget` is called, with how far it was read, when the file is gone: it was drained.
    """

    folder: Path
    read: Callable[[Kept], None] = lambda kept: None
    forget: Callable[[Head], None] = lambda head: None
    _seen: _Seen = field(default_factory=_Seen)

    @property
    def path(self) -> Path:
        """The file of the journal that is being written; it is there only while something waits to be drained."""
        return self.folder / "journal"

    @property
    def waits(self) -> bool:
        """Whether the host keeps anything that the database has not taken yet: one look at the file system."""
        return self.path.exists()

    @property
    def size(self) -> int:
        """Return the bytes that are kept."""
        return self.path.stat().st_size if self.path.exists() else 0

    @property
    def head(self) -> Head | None:
        """Return how far the journal was read; None when there is none."""
        return Head(self._seen.name, self._seen.count, self._seen.hash) if self._seen.name else None

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the journal alone, all of it read and whole; Mismatch when it is damaged."""
        self.folder.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
        with durable.locked(self.folder / ".lock"):
            self._catch_up()
            yield

    def damage(self) -> str | None:
        """Return what is wrong with the journal; None when it is whole, or there is none."""
        try:
            if self.waits:
                with self.locked():
                    pass
        except Mismatch as mismatch:
            return mismatch.detail
        return None

    def append(self, payloads: Sequence[bytes]) -> list[Kept]:
        """Append records and return when they are on the disk; to be called while it is `locked`.

        Unavailable, and nothing of them is kept, when the disk does not take them.
        """
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT, MODE)
        try:
            began = self._seen if self._seen.name else _begin(descriptor)
            head = [] if self._seen.name else [orjson.dumps({"journal": began.name, "v": 1})]
            kept, frames, seen = _chained(began, head, payloads)
            _write(descriptor, self._seen.end if self._seen.name else 0, frames)
            _sync_folder(self.folder, new=bool(head))
        except OSError as error:
            raise self._undone(error) from error
        finally:
            os.close(descriptor)
        self._seen = seen
        self._acknowledge()
        for item in kept:
            self.read(item)
        return kept

    def _undone(self, error: OSError) -> Unavailable:
        """Take back a file that was begun for nothing, and say why nothing is kept."""
        if not self._seen.name:
            self.path.unlink(missing_ok=True)
        return Unavailable(
            f"The database does not answer, and the journal of this host cannot be written ({error.strerror}). "
            "Nothing was decided: what is not kept is not answered. Send the same again when there is room."
        )

    def records(self, after: int = 0) -> Iterator[Kept]:
        """Yield the records behind a place, as far as they are whole; also without the lock."""
        if self.size:
            with self.path.open("rb") as file, mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as data:
                yield from (kept for kept, _ in frames(data) if kept.place > after)

    def verify(self) -> None:
        """Read all of it anew; Mismatch when what this process read before is not what the file holds now."""
        with self.locked():
            head = self.head
        found = next((kept for kept in self.records(head.records - 1)), None) if head and head.records else None
        if head and head.records and (found is None or found.hash != head.hash):
            raise _damaged(self.path, f"its {head.records} records do not follow from each other as they did")

    def payload(self, at: int) -> bytes:
        """Return the payload of the frame `at` so many bytes. While `locked`."""
        with self.path.open("rb") as file:
            file.seek(at)
            return file.read(_LENGTH.unpack(file.read(_LENGTH.size))[0])

    def erase(self) -> bool:
        """Remove the file if all of it has been read, and return whether it was: it was drained. While `locked`."""
        if not self.waits:
            return False
        (self.folder / "acknowledged").unlink(missing_ok=True)  # first: it never speaks of another file
        self.path.unlink()
        self._catch_up()
        return True

    def _catch_up(self) -> None:
        """Read what others appended; cut off what a crash left half-written."""
        try:
            descriptor = os.open(self.path, os.O_RDWR)
        except FileNotFoundError:
            self._lost_sight()
            return
        try:
            found = os.fstat(descriptor)
            before = self._seen.name
            if another := (found.st_dev, found.st_ino) != self._seen.file:
                self._lost_sight()
                self._seen = _Seen(file=(found.st_dev, found.st_ino))
            self._read_on(descriptor, found.st_size)
            if another and before == self._seen.name != "":
                self._seen = _Seen(name=before)  # the same is said again, whoever asks
                raise _damaged(self.path, "another file was put in its place")
        finally:
            os.close(descriptor)

    def _lost_sight(self) -> None:
        if head := self.head:
            self.forget(head)
        self._seen = _Seen()

    def _read_on(self, descriptor: int, size: int) -> None:
        seen = self._seen
        name, acknowledged = self._point()
        if size < seen.end:
            raise _damaged(self.path, f"it has {size} bytes, and this process has read {seen.end}")
        for kept, end in _mapped(descriptor, size, seen):
            seen.name, seen.hash, seen.count, seen.end = kept.journal, kept.hash, kept.place, end
            if kept.place:
                self.read(kept)
        if seen.end < acknowledged or name not in ("", seen.name):
            raise _damaged(self.path, f"of {acknowledged} bytes that were promised, those from {seen.end} on differ")
        if seen.end < size:
            self._cut(descriptor, size)
        if seen.end > acknowledged and seen.name:
            os.fsync(descriptor)  # whoever wrote it died before it counted: it counts now
            self._acknowledge()

    def _cut(self, descriptor: int, size: int) -> None:
        """Cut off what never counted, and keep it beside the journal."""
        torn = os.pread(descriptor, size - self._seen.end, self._seen.end)
        durable.write(self.folder / f"torn-{uuid7().hex}", torn, mode=MODE)
        os.ftruncate(descriptor, self._seen.end)
        os.fsync(descriptor)
        if not self._seen.name:
            self.path.unlink()

    def _point(self) -> tuple[str, int]:
        try:
            name, end = _POINT.unpack((self.folder / "acknowledged").read_bytes())
        except (FileNotFoundError, struct.error):
            return "", 0
        return name.decode(), end

    def _acknowledge(self) -> None:
        """Note how far the journal counts. It outlives a crash of the process; after one of the machine it may lag."""
        point = _POINT.pack(self._seen.name.encode(), self._seen.end)
        descriptor = os.open(self.folder / "acknowledged", os.O_WRONLY | os.O_CREAT, MODE)
        try:
            os.fchmod(descriptor, MODE)
            os.pwrite(descriptor, point, 0)
        finally:
            os.close(descriptor)


def frames(data: bytes | mmap.mmap, at: int = 0, name: str = "", place: int = -1, chain: bytes = _START) -> Frames:
    """Yield the frames of a file and where each ends, up to the first that is not whole.

    They begin `at` so many bytes; `name`, `place` and `chain` are those of the frame before.
    """
    while at + _LENGTH.size <= len(data):
        length = _LENGTH.unpack_from(data, at)[0]
        end = at + _LENGTH.size + length + _HASH
        if length > LARGEST or end > len(data):
            return
        body = data[at : end - _HASH]
        chain, place = hashlib.sha256(chain + body).digest(), place + 1
        if chain != data[end - _HASH : end]:
            return
        payload = body[_LENGTH.size :]
        name = name or str(orjson.loads(payload)["journal"])
        yield Kept(name, place, chain, payload, at), end
        at = end


@dataclass(frozen=True)
class Inspected:
    """How far a journal is whole: its records and bytes, the last hash, and how many bytes behind them are broken."""

    name: str
    records: int
    whole: int
    hash: bytes
    broken: int


def inspect(path: Path) -> Inspected | None:
    """Read a journal through, without the lock and without changing it; None when there is none."""
    if not path.exists() or not (size := path.stat().st_size):
        return None
    name, place, chain, whole = "", 0, _START, 0
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as data:
        for kept, end in frames(data):
            name, place, chain, whole = kept.journal, kept.place, kept.hash, end
    return Inspected(name, place, whole, chain, size - whole)


def _mapped(descriptor: int, size: int, seen: _Seen) -> Frames:
    """Yield the frames behind what was seen."""
    if size > seen.end:
        with mmap.mmap(descriptor, size, prot=mmap.PROT_READ) as data:
            yield from frames(data, seen.end, seen.name, seen.count if seen.name else -1, seen.hash)


def _begin(descriptor: int) -> _Seen:
    os.fchmod(descriptor, MODE)
    found = os.fstat(descriptor)
    return _Seen(file=(found.st_dev, found.st_ino), name=uuid7().hex, count=-1)


def _chained(began: _Seen, head: list[bytes], payloads: Sequence[bytes]) -> tuple[list[Kept], bytes, _Seen]:
    """Return records, their frames behind what was seen, and what is seen after them."""
    kept, chain, place, data = [], began.hash, began.count, bytearray()
    for payload in (*head, *payloads):
        body = _LENGTH.pack(len(payload)) + payload
        chain, place = hashlib.sha256(chain + body).digest(), place + 1
        kept.append(Kept(began.name, place, chain, payload, began.end + len(data)))
        data += body + chain
    seen = _Seen(began.file, began.name, began.end + len(data), place, chain)
    return [item for item in kept if item.place], bytes(data), seen


def _write(descriptor: int, end: int, data: bytes) -> None:
    """Write all or nothing at the end of the file, and wait for the disk."""
    try:
        written = 0
        while written < len(data):
            written += os.pwrite(descriptor, data[written:], end + written)
        os.fsync(descriptor)
    except OSError:
        os.ftruncate(descriptor, end)
        raise


def _sync_folder(folder: Path, *, new: bool) -> None:
    if new:
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _damaged(path: Path, what: str) -> Mismatch:
    return Mismatch(
        f"The journal {path} was changed after it was written: {what}. Nothing is added to it, and none of it enters "
        "the record unseen. Keep the file, `manage.py journal verify` says how far it is whole; it goes on when this "
        "file is moved elsewhere."
    )
