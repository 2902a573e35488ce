"""Tiles and entry bundles (tlog-tiles): their paths, their bytes, and which of them make up a log.

A tile of level 0 holds the hashes of 256 leaves, one of level L the hashes of 256 full tiles of the level below. A
bundle holds 256 entries. What has fewer is partial: its width is part of its path, so every file is written once.
"""

import re
import struct
from collections.abc import Iterable, Iterator
from itertools import chain, count
from typing import NamedTuple

from registry.refusals import Mismatch
from registry.tlog import strict
from registry.tlog.merkle import TILE_HEIGHT, TILE_WIDTH

ENTRIES = -1  # the level of bundles, which stand below the tiles
LARGEST_ENTRY = 0xFFFF  # bytes: what two bytes can say
LARGEST_BUNDLE = TILE_WIDTH * (2 + LARGEST_ENTRY)
_HIGHEST = 63
_LENGTH = struct.Struct(">H").unpack_from
_PATH = re.compile(r"tile/(entries|[0-9]{1,2})/((?:x[0-9]{3}/){0,6}[0-9]{3})(?:\.p/([1-9][0-9]{0,2}))?", re.ASCII)


class Tile(NamedTuple):
    """One file of a log: a tile of hashes, or (level ENTRIES) a bundle of entries; width 256 is full."""

    level: int
    number: int
    width: int = TILE_WIDTH

    @property
    def path(self) -> str:
        """Where it is served, below the log's prefix."""
        groups = [f"{self.number % 1000:03}"]
        rest = self.number // 1000
        while rest:
            groups.insert(0, f"x{rest % 1000:03}")
            rest //= 1000
        partial = "" if self.width == TILE_WIDTH else f".p/{self.width}"
        return f"tile/{'entries' if self.level == ENTRIES else self.level}/{'/'.join(groups)}{partial}"

    @property
    def full(self) -> "Tile":
        """The full tile that takes the place of a partial one once it exists."""
        return self._replace(width=TILE_WIDTH)

    @classmethod
    def parse(cls, path: str) -> "Tile":
        """Read a path; Mismatch for any but the one spelling of a tile that can exist."""
        match = _PATH.fullmatch(path)
        if not match:
            raise Mismatch(f"{path[:80]!r} is not the path of a tile.")
        level, groups, width = match.groups()
        found = cls(
            ENTRIES if level == "entries" else int(level),
            int(re.sub("[x/]", "", groups)),
            int(width) if width else TILE_WIDTH,
        )
        if found.path != path or found.level > _HIGHEST or found.number > strict.LARGEST:
            raise Mismatch(f"{path[:80]!r} is not the path of a tile.")
        return found


def of_size(size: int) -> Iterator[Tile]:
    """Yield every bundle and tile of a log of this size, bundles first, each level from left to right."""
    return new_between(0, size)


def new_between(old: int, new: int) -> Iterator[Tile]:
    """Yield the bundles and tiles of a log of `new` entries that one of `old` entries does not have yet."""
    for level in chain([ENTRIES], count()):
        height = max(level, 0) * TILE_HEIGHT
        before, now = old >> height, new >> height
        if not now:
            return
        for number in range(before // TILE_WIDTH, -(-now // TILE_WIDTH)):
            width = min(TILE_WIDTH, now - number * TILE_WIDTH)
            if number * TILE_WIDTH + width > before:
                yield Tile(level, number, width)


def bundle(entries: Iterable[bytes]) -> bytes:
    """Return the bytes of a bundle: each entry after its length (u16); ValueError for one of more than 65,535 bytes."""
    parts = []
    for entry in entries:
        if len(entry) > LARGEST_ENTRY:
            raise ValueError(f"An entry of {len(entry)} bytes does not fit into a bundle (65,535).")
        parts += [len(entry).to_bytes(2), entry]
    return b"".join(parts)


def unbundle(data: bytes) -> list[bytes]:
    """Return the entries of a bundle; Mismatch when it does not hold 1 to 256 whole ones."""
    entries, start, end = [], 0, len(data)
    try:
        while start < end:
            (length,) = _LENGTH(data, start)
            stop = start + 2 + length
            entries.append(data[start + 2 : stop])
            start = stop
    except struct.error:
        start = -1
    if start != end:
        raise Mismatch("Its last entry is cut.")
    if not 1 <= len(entries) <= TILE_WIDTH:
        raise Mismatch(f"It holds {len(entries)} entries, not 1 to {TILE_WIDTH}.")
    return entries


def split(data: bytes) -> list[bytes]:
    """Return the hashes of a tile; Mismatch when it does not hold 1 to 256 whole ones."""
    if len(data) % strict.HASH or not strict.HASH <= len(data) <= TILE_WIDTH * strict.HASH:
        raise Mismatch(f"It has {len(data)} bytes, which is not 1 to {TILE_WIDTH} hashes.")
    return [data[start : start + strict.HASH] for start in range(0, len(data), strict.HASH)]
