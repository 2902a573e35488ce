"""A published log is checked from its files alone, and the first file or entry that is not as signed is named."""

import os
import re
from datetime import UTC, datetime, timedelta

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from registry.refusals import Mismatch
from registry.tlog import directory, notes, tiles
from registry.tlog.trust import Policy
from tests.logs import Log, flipped, witness_key

SIZES = [0, 1, 2, 255, 256, 257, 511, 512, 513, 700]
BIG = 65_536 + 300  # three levels of tiles
WITNESS = witness_key()


def check(log, folder, *witnesses):
    return directory.verify(folder, Policy.parse(log.policy(*witnesses)))


def refused(log, folder, why):
    with pytest.raises(Mismatch, match=re.escape(why)):
        check(log, folder)


@pytest.mark.parametrize("size", SIZES)
def test_a_log_as_published_is_good(tmp_path, size):
    log = Log.of(size)
    trusted, writers = check(log, log.publish(tmp_path, WITNESS), WITNESS)
    assert trusted.checkpoint == log.checkpoint()
    assert list(trusted.cosigners) == ["w1"]
    assert writers.size == size


@pytest.fixture(scope="module")
def big(tmp_path_factory):
    log = Log.of(BIG)
    return log, log.publish(tmp_path_factory.mktemp("big"))


def test_a_log_with_three_levels_of_tiles_is_good(big):
    log, folder = big
    assert check(log, folder)[0].checkpoint.size == BIG
    assert (folder / "tile/2/000.p/1").stat().st_size == 32


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("tile/1/000", "tile/1/000: its hash 3 is not the one of the full tile tile/0/003."),
        ("tile/0/003", "entry 771: its bytes in tile/entries/003 do not hash to what tile/0/003 says."),
        ("tile/2/000.p/1", "tile/2/000.p/1: its hash 0 is not the one of the full tile tile/1/000."),
    ],
)
def test_a_changed_hash_is_named(big, path, why):
    log, folder = big
    data = (folder / path).read_bytes()
    (folder / path).write_bytes(flipped(data, 3 * 32 * 8 if len(data) > 96 else 0))
    try:
        refused(log, folder, why)
    finally:
        (folder / path).write_bytes(data)


def test_a_larger_log_in_the_same_folder_is_not_looked_at(tmp_path):
    log, longer = Log.of(300), Log.of(900)
    log.publish(tmp_path)
    longer.publish(tmp_path)
    (tmp_path / "tile/entries/002").write_bytes(b"anything")
    (tmp_path / "tile/stray").mkdir()
    (tmp_path / "checkpoint").write_text(log.note())
    for path in ("tile/0/001.p/44", "tile/entries/001.p/44"):  # the full ones exist, so these may go
        (tmp_path / path).unlink()
    assert check(log, tmp_path)[0].checkpoint.size == 300
    (tmp_path / "tile/entries/001").unlink()
    refused(log, tmp_path, "tile/entries/001.p/44: it is missing.")


def test_a_full_file_in_the_place_of_a_partial_one_is_checked(tmp_path):
    log = Log.of(300)
    Log.of(512).publish(tmp_path)
    (tmp_path / "checkpoint").write_text(log.note())
    path = tmp_path / "tile/entries/001"
    entries = tiles.unbundle(path.read_bytes())
    path.write_bytes(tiles.bundle([*entries[:10], b"something else", *entries[11:]]))
    refused(log, tmp_path, "entry 266: its bytes in tile/entries/001.p/44 do not hash to what tile/0/001.p/44 says.")
    path.write_bytes(tiles.bundle(entries)[:-1])
    refused(log, tmp_path, "tile/entries/001: Its last entry is cut.")


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_every_flipped_bit_of_every_file_is_refused(tmp_path, data):
    log = Log.of(300)
    if not (tmp_path / "checkpoint").exists():
        log.publish(tmp_path)
    paths = sorted(path for path in tmp_path.rglob("*") if path.is_file())
    path = data.draw(st.sampled_from(paths))
    good = path.read_bytes()
    path.write_bytes(flipped(good, data.draw(st.integers(0, len(good) * 8 - 1))))
    with pytest.raises(Mismatch):
        check(log, tmp_path)
    path.write_bytes(good)
    check(log, tmp_path)


def test_every_missing_file_is_named(tmp_path):
    log = Log.of(600)
    log.publish(tmp_path)
    for path in [path for path in tmp_path.rglob("*") if path.is_file()]:
        good = path.read_bytes()
        path.unlink()
        refused(log, tmp_path, f"{path.relative_to(tmp_path)}: it is missing.")
        path.write_bytes(good)


@pytest.mark.parametrize(
    ("path", "data", "why"),
    [
        ("tile/entries/000", b"", "tile/entries/000: It holds 0 entries, not 1 to 256."),
        ("tile/entries/001.p/44", b"\0\1a", "tile/entries/001.p/44: it holds 1 entries, not 44."),
        ("tile/0/000", b"\0" * 31, "tile/0/000: It has 31 bytes, which is not 1 to 256 hashes."),
        ("tile/0/000", b"\0" * 8193, "tile/0/000: it has more than 8192 bytes."),
        ("tile/entries/000", b"\xff" * (256 * 65_537 + 1), "tile/entries/000: it has more than 16777472 bytes."),
        ("checkpoint", b"\0", "This is not a signed note"),
        ("checkpoint", b"x" * 1_000_001, "checkpoint: it has more than 1000000 bytes."),
    ],
)
def test_a_file_in_another_form_is_named(tmp_path, path, data, why):
    log = Log.of(300)
    log.publish(tmp_path)
    (tmp_path / path).write_bytes(data)
    refused(log, tmp_path, why)


def test_a_pipe_or_folder_in_the_place_of_a_file_is_refused(tmp_path):
    log = Log.of(300)
    log.publish(tmp_path)
    path = tmp_path / "tile/0/000"
    path.unlink()
    os.mkfifo(path)
    refused(log, tmp_path, "tile/0/000: it is no file.")
    path.unlink()
    path.mkdir()
    refused(log, tmp_path, "tile/0/000: it is no file.")


def test_entries_and_tiles_rewritten_together_do_not_reach_the_signed_root(tmp_path):
    log, forged = Log.of(300), Log.of(300, "forged")
    forged.publish(tmp_path)
    (tmp_path / "checkpoint").write_text(log.note())
    refused(log, tmp_path, "checkpoint: its root is not the one of the 300 entries.")


def entries_of(numbers, **more):
    begin = datetime(2026, 1, 1, tzinfo=UTC)
    return [
        orjson.dumps({"at": (begin + timedelta(seconds=index)).isoformat(), "writer": ["w3f9", number], **more})
        for index, number in enumerate(numbers)
    ]


def test_a_log_whose_writer_skipped_a_number_is_refused_by_name(tmp_path):
    log = Log(entries_of([1, 2, 5, 6]))
    refused(log, log.publish(tmp_path), "writer w3f9: number 3 to 4 is missing before entry 2")


def test_a_log_whose_writer_counted_twice_is_refused_by_name(tmp_path):
    log = Log(entries_of([1, 2, 2, 3]))
    refused(log, log.publish(tmp_path), "writer w3f9: a number comes twice or late (number 2) at entry 2, and no")


def test_a_gap_that_was_acknowledged_is_told(tmp_path):
    accepted = entries_of([7], event="gap.acknowledged", facts={"writer": "w3f9", "from": 3, "to": 4})
    log = Log([*entries_of([1, 2, 5, 6]), *accepted])
    assert check(log, log.publish(tmp_path))[1].acknowledged == [("w3f9", 3, 4)]


def test_a_fault_that_was_answered_is_told(tmp_path):
    answered = entries_of([4], event="breach.acknowledged", facts={"writer": "w3f9", "number": 2, "index": 2})
    log = Log([*entries_of([1, 2, 2, 3]), *answered])
    assert [fault.index for fault in check(log, log.publish(tmp_path))[1].explained] == [2]


def test_the_quorum_is_asked_for_before_a_file_is_read(tmp_path):
    log = Log.of(3)
    with pytest.raises(Mismatch, match="quorum"):
        check(log, log.publish(tmp_path), WITNESS)
    (tmp_path / "checkpoint").write_text(notes.sign(str(log.checkpoint()), witness_key()))
    refused(log, tmp_path, "no signature by the log")
