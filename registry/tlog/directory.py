"""The full check of a published log from its files alone (tlog-tiles): every entry, every tile, the root.

The files are read once, from left to right, and no more is kept than one tile of each level. A partial tile or bundle
may be missing once the full one stands in its place. What lies beyond the checkpoint's size is not looked at.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from registry.refusals import Mismatch
from registry.tlog import merkle, strict, tiles
from registry.tlog.checkpoints import Checkpoint
from registry.tlog.merkle import TILE_WIDTH
from registry.tlog.notes import LARGEST_NOTE
from registry.tlog.tiles import Tile
from registry.tlog.trust import Policy, Trusted
from registry.tlog.writers import Writers

CHECKPOINT = "checkpoint"


@dataclass
class _Grown:
    """The part of the log that was read: its full tiles, and per level the hashes of the tile that is not full yet."""

    folder: Path
    levels: list[list[bytes]] = field(default_factory=list)
    numbers: list[int] = field(default_factory=list)

    def add(self, level: int, hashes: Sequence[bytes]) -> None:
        """Put hashes at the right edge of a level; a tile that becomes full is checked and hashed into the next one."""
        if level == len(self.levels):
            self.levels.append([])
            self.numbers.append(0)
        edge = self.levels[level]
        edge += hashes
        if len(edge) == TILE_WIDTH:
            self.check(level)
            self.levels[level] = []
            self.numbers[level] += 1
            self.add(level + 1, [merkle.root_of_full(edge)])

    def check(self, level: int) -> None:
        """Compare the hashes of a level's edge with the tile that was published of them."""
        expected = self.levels[level]
        tile = Tile(level, self.numbers[level], len(expected))
        data = read(self.folder, tile)
        if data != b"".join(expected):
            with _named(tile):
                found = tiles.split(data)
            raise Mismatch(_first_difference(tile, expected, found))

    def root(self) -> bytes:
        """Check the tiles at the right edge, which are partial, and return the root of the tree."""
        size, peaks = 0, list[bytes]()
        for level, edge in enumerate(self.levels):
            if edge:
                self.check(level)
            size += len(edge) << level * merkle.TILE_HEIGHT
            part = merkle.Peaks()
            for item in edge:
                part.add(item)
            peaks = part.hashes + peaks  # a higher level stands further left
        return merkle.Peaks(size, peaks).root()


def verify(folder: Path, policy: Policy) -> tuple[Trusted, Writers]:
    """Check a whole published log: signatures and quorum, every bundle, every tile, the root, the writers' counters.

    Returns what the policy found in its checkpoint, and the counters. Raises Mismatch naming the first thing that is
    not as signed.
    """
    note = _bytes(folder, CHECKPOINT, LARGEST_NOTE)
    if note is None:
        raise Mismatch(f"{CHECKPOINT}: it is missing.")
    trusted = policy.verify(note)
    return trusted, verify_entries(folder, trusted.checkpoint)


def verify_entries(folder: Path, checkpoint: Checkpoint) -> Writers:
    """Check all files of a log against a checkpoint that is trusted already; return the counters of its writers."""
    grown, writers = _Grown(folder), Writers()
    for number in range(-(-checkpoint.size // TILE_WIDTH)):
        width = min(TILE_WIDTH, checkpoint.size - number * TILE_WIDTH)
        bundle = Tile(tiles.ENTRIES, number, width)
        data = read(folder, bundle)
        with _named(bundle):
            entries = tiles.unbundle(data)
        if len(entries) != width:
            raise Mismatch(f"{bundle.path}: it holds {len(entries)} entries, not {width}.")
        for entry in entries:
            writers.feed(entry)
        grown.add(0, [merkle.leaf_hash(entry) for entry in entries])
    if grown.root() != checkpoint.root:
        raise Mismatch(f"{CHECKPOINT}: its root is not the one of the {checkpoint.size} entries.")
    if wrong := writers.unexplained:
        raise Mismatch(f"{wrong[0]}, and no later entry acknowledges it.")
    return writers


def read(folder: Path, tile: Tile) -> bytes:
    """Return the bytes of a tile or bundle, from the full one where the partial one was taken away."""
    largest = tiles.LARGEST_BUNDLE if tile.level == tiles.ENTRIES else TILE_WIDTH * strict.HASH
    data = _bytes(folder, tile.path, largest)
    if data is None and tile.width < TILE_WIDTH:
        data = _bytes(folder, tile.full.path, largest)
        if data is not None:
            return _beginning(tile, data)
    if data is None:
        raise Mismatch(f"{tile.path}: it is missing.")
    return data


def _beginning(tile: Tile, data: bytes) -> bytes:
    """Return what a partial tile or bundle would hold, out of the bytes of the full one."""
    if tile.level == tiles.ENTRIES:
        with _named(tile.full):
            return tiles.bundle(tiles.unbundle(data)[: tile.width])
    return data[: tile.width * strict.HASH]


def _bytes(folder: Path, name: str, largest: int) -> bytes | None:
    """Return the bytes of a file below a folder; None where there is none."""
    path = folder / name
    try:
        if path.exists() and not path.is_file():  # to open a pipe would wait for ever
            raise Mismatch(f"{name}: it is no file.")
        with path.open("rb") as file:
            data = file.read(largest + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise Mismatch(f"{name}: it cannot be read ({error.strerror}).") from error
    if len(data) > largest:
        raise Mismatch(f"{name}: it has more than {largest} bytes.")
    return data


@contextmanager
def _named(tile: Tile) -> Iterator[None]:
    """Say in which file it is that something is wrong."""
    try:
        yield
    except Mismatch as mismatch:
        raise Mismatch(f"{tile.path}: {mismatch.detail}") from mismatch


def _first_difference(tile: Tile, expected: Sequence[bytes], found: Sequence[bytes]) -> str:
    place = next((i for i, (a, b) in enumerate(zip(expected, found, strict=False)) if a != b), None)
    if place is None:
        return f"{tile.path}: it holds {len(found)} hashes, not {len(expected)}."
    index = tile.number * TILE_WIDTH + place
    if tile.level == 0:
        bundle = tile._replace(level=tiles.ENTRIES)
        return f"entry {index}: its bytes in {bundle.path} do not hash to what {tile.path} says."
    return f"{tile.path}: its hash {place} is not the one of the full tile {Tile(tile.level - 1, index).path}."
