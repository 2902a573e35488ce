"""Tiles, bundles and proof files: the numbers and paths of the format, and nothing but whole ones read."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.refusals import Mismatch
from registry.tlog import tiles
from registry.tlog.checkpoints import Checkpoint
from registry.tlog.notes import open_checkpoint
from registry.tlog.proof_files import ProofFile
from registry.tlog.tiles import ENTRIES, Tile
from tests.logs import Log, flipped


@pytest.mark.parametrize(
    ("tile", "path"),
    [
        (Tile(0, 1234067), "tile/0/x001/x234/067"),
        (Tile(0, 0), "tile/0/000"),
        (Tile(63, 999, 255), "tile/63/999.p/255"),
        (Tile(ENTRIES, 1000, 1), "tile/entries/x001/000.p/1"),
        (Tile(ENTRIES, 1234067), "tile/entries/x001/x234/067"),
    ],
)
def test_paths_are_those_of_the_format(tile, path):
    assert tile.path == path
    assert Tile.parse(path) == tile


@pytest.mark.parametrize(
    "path",
    [
        "",
        "tile/0/0",
        "tile/0/0000",
        "tile/00/000",
        "tile/64/000",
        "tile/-1/000",
        "tile/0/x000/067",
        "tile/0/001/067",
        "tile/0/x001/x234/067/",
        "tile/0/000.p/0",
        "tile/0/000.p/256",
        "tile/0/000.p/01",
        "tile/0/000.p/",
        "tile/0/٠٠٠",
        "tile/0/000\n",
        "/tile/0/000",
        "tile/0/../000",
        "tile/data/000",
        "tile/0/" + "x999/" * 6 + "999",
        "tile/0/" + "x999/" * 2000 + "999",
    ],
)
def test_other_paths_are_refused(path):
    with pytest.raises(Mismatch):
        Tile.parse(path)


def test_a_log_of_70_000_is_made_of_the_tiles_that_the_format_names():
    made = list(tiles.of_size(70_000))
    assert Counter((tile.level, tile.width) for tile in made) == {
        (ENTRIES, 256): 273,
        (ENTRIES, 112): 1,
        (0, 256): 273,
        (0, 112): 1,
        (1, 256): 1,
        (1, 17): 1,
        (2, 1): 1,
    }
    assert {tile.path for tile in made if tile.level > 0} == {"tile/1/000", "tile/1/001.p/17", "tile/2/000.p/1"}
    assert Tile(0, 273, 112) in made


def test_a_log_of_256_has_a_partial_tile_of_width_1():
    assert [tile.path for tile in tiles.of_size(256)] == ["tile/entries/000", "tile/0/000", "tile/1/000.p/1"]
    assert not list(tiles.of_size(0))


@given(st.integers(0, 70_000), st.integers(0, 3_000))
def test_what_is_new_is_what_the_smaller_log_did_not_have(old, more):
    before = set(tiles.of_size(old))
    fresh = list(tiles.new_between(old, old + more))
    assert len(fresh) == len(set(fresh))
    assert set(fresh) == set(tiles.of_size(old + more)) - before


@given(st.lists(st.binary(max_size=300), min_size=1, max_size=256))
def test_bundles_survive(entries):
    assert tiles.unbundle(tiles.bundle(entries)) == entries


def test_the_longest_entry_fits_and_no_longer_one():
    assert tiles.unbundle(tiles.bundle([bytes(65_535), b""])) == [bytes(65_535), b""]
    assert tiles.bundle([b"ab", b""]) == b"\0\2ab\0\0"
    with pytest.raises(ValueError, match="65536"):
        tiles.bundle([bytes(65_536)])


@pytest.mark.parametrize("data", [b"", b"\0", b"\0\1", b"\0\2ab\0", b"\0\2abc", b"\0\0" * 257])
def test_a_cut_or_overfull_bundle_is_refused(data):
    with pytest.raises(Mismatch):
        tiles.unbundle(data)


@pytest.mark.parametrize("length", [0, 31, 33, 8193, 8224])
def test_a_tile_that_does_not_hold_whole_hashes_is_refused(length):
    with pytest.raises(Mismatch):
        tiles.split(bytes(length))
    assert len(tiles.split(bytes(8192))) == 256


LOG = Log.of(7)
PROOF = LOG.proof_file(3)


def judged(data):
    """Read a proof file and follow it from entry 3 to a head that the log signed."""
    proof = ProofFile.parse(data)
    proof.verify(LOG.entries[3], open_checkpoint(proof.note, LOG.signer.verifier))
    return proof


def test_a_proof_file_survives_and_proves():
    proof = judged(PROOF.encode())
    assert (str(proof), proof.index, proof.extra) == (PROOF, 3, None)
    with pytest.raises(Mismatch):
        proof.verify(LOG.entries[4], LOG.checkpoint())


def test_extra_data_is_read_and_changes_nothing():
    with_extra = PROOF.replace("\nindex", "\nextra c29tZXRoaW5n\nindex")
    proof = judged(with_extra)
    assert (proof.extra, str(proof)) == (b"something", with_extra)
    lie = Log.of(7).proof_file(3).replace("\nindex", "\nextra aW5kZXggNA==\nindex")
    assert judged(lie).index == 3


def test_a_proof_in_a_log_of_one_entry_has_no_hashes():
    log = Log.of(1)
    assert ProofFile.parse(log.proof_file(0)).hashes == []
    assert log.proof_file(0).startswith("c2sp.org/tlog-proof@v1\nindex 0\n\nexample.com/log\n1\n")


def test_every_flipped_bit_of_a_proof_file_is_refused():
    data = PROOF.encode()
    for bit in range(len(data) * 8):
        with pytest.raises(Mismatch):
            judged(flipped(data, bit))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("c2sp.org/tlog-proof@v1\n", ""),
        ("@v1", "@v2"),
        ("index 3\n", ""),
        ("index 3\n", "index 3\nindex 3\n"),
        ("index 3\n", "index 3\nextra AAAA\n"),
        ("index 3\n", "extra !!\nindex 3\n"),
        ("index 3\n", "extra AAAA\nextra AAAA\nindex 3\n"),
        *(("index 3", f"index {number}") for number in ("+3", "03", " 3", "3_0", "٣", "-3", "", str(1 << 63))),
        ("\n\n", "\n"),
        ("\n\n", "\n\n\n"),
        ("\n", "\r\n"),
        ("index 3\n", "index 3\n" + "A" * 43 + "=\n"),
        ("index 3\n", "index 3\n" + ("A" * 43 + "=\n") * 64),
        ("index 3\n", "index 3\nAAAA\n"),
        ("index 3\n", "index 3\n" + "A" * 2_000_000 + "\n"),
    ],
)
def test_a_proof_file_in_another_form_is_refused(old, new):
    assert old in PROOF
    with pytest.raises(Mismatch):
        judged(PROOF.replace(old, new) if old == "\n" else PROOF.replace(old, new, 1))


def test_a_proof_does_not_hold_under_another_head():
    with pytest.raises(Mismatch):
        ProofFile.parse(PROOF).verify(LOG.entries[3], Checkpoint(LOG.origin, 7, LOG.root(6)))


@pytest.mark.parametrize("extra", [None, b"", b"x", bytes(70)])
def test_a_proof_file_reads_what_it_writes(extra):
    written = ProofFile(3, LOG.inclusion(3, len(LOG.entries)), LOG.note(), extra)
    assert ProofFile.parse(str(written)) == written
