"""The journal's file: whole or not at all, shared by the workers of a host, and found out when somebody changes it."""

import multiprocessing
import os
import resource
import signal

import pytest

from registry.refusals import Mismatch, Unavailable
from scoring import journal
from scoring.journal import Journal


class Reader(Journal):
    """A worker, and what it has read."""

    def __init__(self, folder):
        self.places = {}
        super().__init__(
            folder, lambda kept: self.places.update({kept.payload: kept.place}), lambda head: self.places.clear()
        )


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "journal"


def add(worker, *payloads):
    with worker.locked():
        return worker.append([payload.encode() for payload in payloads])


def test_workers_of_a_host_share_one_chain(folder):
    one, other = Reader(folder), Reader(folder)
    assert not one.waits
    add(one, "a", "b")
    add(other, "c")
    add(one, "d")
    with other.locked():
        assert other.places == {b"a": 1, b"b": 2, b"c": 3, b"d": 4} == {**one.places}
    assert [kept.payload for kept in one.records()] == [b"a", b"b", b"c", b"d"]
    assert [kept.place for kept in one.records(2)] == [3, 4]
    assert {oct(path.stat().st_mode)[-3:] for path in folder.iterdir() if not path.name.startswith(".")} == {"640"}


def test_what_was_drained_is_erased_and_another_journal_begins(folder):
    one, other = Reader(folder), Reader(folder)
    first = add(one, "a")[0]
    add(other, "b")
    with one.locked():
        assert one.erase()
    assert not list(folder.glob("[!.]*"))
    second = add(other, "a")[0]
    assert (second.place, other.places) == (1, {b"a": 1})
    assert first.journal != second.journal


def test_a_frame_is_read_where_it_stands(folder):
    one = Reader(folder)
    kept = [*add(one, "a"), *add(one, "bb", "ccc")]
    with one.locked():
        assert [one.payload(item.at) for item in kept] == [b"a", b"bb", b"ccc"]


@pytest.mark.parametrize("torn", [b"\0", b"\0\0\0\x05hell", b"\0\0\0\x01x" + bytes(32), b"\xff" * 64])
def test_what_a_dying_writer_left_is_cut_off_and_kept_aside(folder, torn):
    one = Reader(folder)
    add(one, "a")
    with one.path.open("ab") as file:
        file.write(torn)
    later = Reader(folder)
    add(later, "b")
    assert later.places == {b"a": 1, b"b": 2}
    add(one, "c")
    assert one.places == {b"a": 1, b"b": 2, b"c": 3}
    assert [path.read_bytes() for path in folder.glob("torn-*")] == [torn]


def test_a_writer_that_dies_before_it_promised_leaves_a_record_that_counts(folder):
    one = Reader(folder)
    add(one, "a")
    before = (folder / "acknowledged").read_bytes()
    add(one, "b")
    (folder / "acknowledged").write_bytes(before)
    later = Reader(folder)
    with later.locked():
        assert later.places == {b"a": 1, b"b": 2}


@pytest.mark.parametrize("worker", ["the one that wrote it", "a new one"])
def test_a_record_cut_off_after_it_was_promised_is_found(folder, worker):
    one = Reader(folder)
    add(one, "a")
    size = one.size
    add(one, "b")
    os.truncate(one.path, size)
    with pytest.raises(Mismatch, match="was changed after it was written"):
        add(one if worker == "the one that wrote it" else Reader(folder), "c")
    assert one.size == size


@pytest.mark.parametrize("place", [5, 60, 130, -40, -1])
def test_a_flipped_bit_is_found_and_nothing_is_added(folder, place):
    one = Reader(folder)
    add(one, "a", "b", "c")
    data = bytearray(one.path.read_bytes())
    data[place] ^= 1
    one.path.write_bytes(bytes(data))
    with pytest.raises(Mismatch, match="was changed after it was written"):
        add(Reader(folder), "d")
    assert one.path.read_bytes() == bytes(data)
    found = journal.inspect(one.path)
    assert found.broken > 0
    assert found.records < 3


def test_a_journal_that_was_chained_anew_is_found_by_whoever_knew_it(folder):
    one = Reader(folder)
    add(one, "a", "b")
    header = next(journal.frames(one.path.read_bytes()))[0].payload
    frames = journal._chained(journal._Seen(name=one._seen.name, count=-1), [header], [b"a", b"c"])[1]
    one.path.rename(folder / "kept")
    one.path.write_bytes(frames)
    for _ in range(2):
        with pytest.raises(Mismatch, match="another file was put in its place"):
            add(one, "d")
    assert one.path.read_bytes() == frames


def full_disk(folder, results):
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    one = Reader(folder)
    add(one, "a" * 100)
    size = one.size
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 1000, size + 1000))
    try:
        add(one, "b" * 600, "c" * 600)
    except Unavailable as refusal:
        results.put((refusal.detail, one.size == size))
    add(one, "d" * 100)
    results.put([kept.payload[:1] for kept in Reader(folder).records()])


def test_a_full_disk_refuses_and_leaves_nothing_half_written(folder):
    context = multiprocessing.get_context("fork")
    results = context.Queue()
    process = context.Process(target=full_disk, args=[folder, results])
    process.start()
    detail, same = results.get(timeout=60)
    assert "cannot be written (File too large)" in detail
    assert same
    assert results.get(timeout=60) == [b"a", b"d"]
    process.join()


def writer(folder, name):
    one = Reader(folder)
    for number in range(50):
        add(one, f"{name}{number}")


def test_many_writers_make_one_whole_chain(folder):
    context = multiprocessing.get_context("fork")
    writers = [context.Process(target=writer, args=[folder, name]) for name in "abcd"]
    for process in writers:
        process.start()
    for process in writers:
        process.join()
    found = journal.inspect(folder / "journal")
    assert (found.records, found.broken) == (200, 0)
    assert len({kept.payload for kept in Reader(folder).records()}) == 200
