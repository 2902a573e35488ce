"""Bytes under their digest: whole or not at all."""

import fcntl
import hashlib
import os
import resource
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.core.files.storage import storages

from registry import artifacts
from registry.refusals import Mismatch, Unavailable


@pytest.fixture
def kept_in(tmp_path, settings):
    """A store of its own, empty."""
    local = settings.STORAGES["artifacts"] | {"OPTIONS": {"location": str(tmp_path / "artifacts")}}
    settings.STORAGES = settings.STORAGES | {"artifacts": local}
    return tmp_path / "artifacts"


def files(folder: Path) -> list[str]:
    return [path.name for path in folder.rglob("*") if path.is_file()]


def test_a_write_that_breaks_off_leaves_no_file_under_the_digest(kept_in):
    data = b"a model" * 10_000
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))  # as a full disk does: the write stops half-way
    try:
        with pytest.raises(Unavailable, match="File too large.*Nothing was done"):
            artifacts.put(data)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert files(kept_in) == []
    with pytest.raises(Mismatch, match="is not in the store"):
        artifacts.get(hashlib.sha256(data).hexdigest())
    assert artifacts.get(artifacts.put(data)) == data
    assert files(kept_in) == [hashlib.sha256(data).hexdigest()]


def test_half_a_file_left_by_others_is_mended_by_the_next_who_brings_it(kept_in):
    digest = artifacts.put(b"whole")
    Path(storages["artifacts"].path(f"{digest[:2]}/{digest[2:4]}/{digest}")).write_bytes(b"wh")
    with pytest.raises(Mismatch, match="were changed"):
        artifacts.get(digest)
    assert artifacts.put(b"whole") == digest
    assert artifacts.get(digest) == b"whole"


def pieces(count: int, size: int = 1024 * 1024) -> Iterator[bytes]:
    return (bytes([place % 256]) * size for place in range(count))


def test_bytes_that_come_in_pieces_are_kept_under_the_digest_of_the_whole(kept_in):
    whole = b"".join(pieces(3))
    digest, size = artifacts.receive(pieces(3))
    assert size == len(whole)
    assert digest == hashlib.sha256(whole).hexdigest() == artifacts.receive([whole])[0] == artifacts.put(whole)
    assert artifacts.get(digest) == whole
    assert files(kept_in) == [digest]
    with artifacts.opened(digest) as file:
        assert file.seek(-2, 2) == len(whole) - 2
        assert file.read() == whole[-2:]


def test_many_bytes_pass_through_little_memory(kept_in):
    tracemalloc.start()
    digest = artifacts.receive(pieces(96))[0]
    with artifacts.opened(digest) as file:
        assert file.read(1) == b"\0"
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 24 * 1024 * 1024


def test_pieces_that_break_off_leave_nothing(kept_in):
    def broken() -> Iterator[bytes]:
        yield b"a" * 100_000
        raise ConnectionError("the sender is gone")

    with pytest.raises(ConnectionError):
        artifacts.receive(broken())
    assert files(kept_in) == []


def test_a_stored_file_that_was_changed_or_lost_is_not_opened(kept_in):
    digest = artifacts.receive(pieces(2))[0]
    path = Path(storages["artifacts"].path(f"{digest[:2]}/{digest[2:4]}/{digest}"))
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(Mismatch, match="were changed"), artifacts.opened(digest):
        pytest.fail("it was opened")
    assert artifacts.receive(pieces(2))[0] == digest, "bringing it again mends the store"
    with artifacts.opened(digest):
        path.unlink()
    with pytest.raises(Mismatch, match="is not in the store"), artifacts.opened(digest):
        pytest.fail("it was opened")


def test_what_a_killed_writer_left_is_swept_and_what_a_living_one_writes_is_not(kept_in):
    artifacts.put(b"first")
    dead, alive, young = (kept_in / ".incoming" / f".{name}" for name in ("dead", "alive", "young"))
    for path in (dead, alive, young):
        path.write_bytes(b"half")
        if path != young:
            os.utime(path, (0, 0))
    with alive.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        artifacts.put(b"second")
    assert [path.exists() for path in (dead, alive, young)] == [False, True, True]
