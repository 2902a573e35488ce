"""Bytes under their digest: whole or not at all."""

import hashlib
import resource
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
