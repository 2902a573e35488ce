"""The Merkle tree of RFC 6962 section 2.1 (RFC 9162 section 2.1): hashes, proofs and their verification.

Pure functions over SHA-256 hashes of 32 bytes. Nothing here knows a database or a file.
"""

import hashlib
from collections.abc import Callable, Iterable, Sequence

from registry.refusals import Mismatch

EMPTY = hashlib.sha256(b"").digest()
TILE_HEIGHT = 8
TILE_WIDTH = 1 << TILE_HEIGHT

Subtree = Callable[[int, int], bytes]  # (level, index) → hash of the complete subtree of 2**level leaves


def leaf_hash(entry: bytes) -> bytes:
    """Return the hash of a leaf holding these bytes."""
    return hashlib.sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash of an inner node."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def root_of(hashes: Sequence[bytes]) -> bytes:
    """Return the root of a tree over these leaf (or subtree) hashes."""
    peaks = Peaks()
    for item in hashes:
        peaks.add(item)
    return peaks.root()


def root_of_full(hashes: Sequence[bytes]) -> bytes:
    """Return the root over 2**n hashes, level by level: twice as fast as `root_of`, for whoever reads whole logs."""
    sha256 = hashlib.sha256
    while len(hashes) > 1:
        hashes = [sha256(b"\x01" + left + right).digest() for left, right in zip(*[iter(hashes)] * 2, strict=True)]
    return hashes[0]


class Peaks:
    """The right edge of a growing tree: the roots of its complete subtrees, largest first."""

    def __init__(self, size: int = 0, peaks: Iterable[bytes] = ()) -> None:
        self.size = size
        self.hashes = list(peaks)
        if len(self.hashes) != size.bit_count():
            raise ValueError(f"A tree of {size} leaves has {size.bit_count()} peaks, not {len(self.hashes)}.")

    def add(self, leaf: bytes) -> None:
        """Append one leaf hash."""
        self.hashes.append(leaf)
        size = self.size
        while size & 1:
            right = self.hashes.pop()
            self.hashes.append(node_hash(self.hashes.pop(), right))
            size >>= 1
        self.size += 1

    def root(self) -> bytes:
        """Return the root of the tree as it stands."""
        if not self.hashes:
            return EMPTY
        result = self.hashes[-1]
        for peak in reversed(self.hashes[:-1]):
            result = node_hash(peak, result)
        return result


def peaks_at(size: int) -> list[tuple[int, int]]:
    """Return (level, index) of each complete subtree that makes up a tree of this size, left to right."""
    result, start = [], 0
    for level in range(size.bit_length() - 1, -1, -1):
        if size >> level & 1:
            result.append((level, start >> level))
            start += 1 << level
    return result


def _range_root(start: int, end: int, subtree: Subtree) -> bytes:
    """Return MTH(D[start:end]) where `start` is a multiple of the largest power of two below the width."""
    width = end - start
    if width & (width - 1) == 0:
        level = width.bit_length() - 1
        return subtree(level, start >> level)
    split = 1 << ((width - 1).bit_length() - 1)
    return node_hash(_range_root(start, start + split, subtree), _range_root(start + split, end, subtree))


def inclusion_proof(index: int, size: int, subtree: Subtree) -> list[bytes]:
    """Return PATH(index, D[size]) of RFC 6962 section 2.1.1, the leaf's sibling first."""
    if not 0 <= index < size:
        raise ValueError(f"Leaf {index} is not in a tree of {size}.")
    start, end, proof = 0, size, []
    while end - start > 1:
        split = 1 << ((end - start - 1).bit_length() - 1)
        if index < start + split:
            proof.append(_range_root(start + split, end, subtree))
            end = start + split
        else:
            proof.append(_range_root(start, start + split, subtree))
            start += split
    return proof[::-1]


def consistency_proof(old: int, new: int, subtree: Subtree) -> list[bytes]:
    """Return PROOF(old, D[new]) of RFC 6962 section 2.1.2."""
    if not 0 < old <= new:
        raise ValueError(f"No consistency proof from {old} to {new} leaves.")

    def walk(old: int, start: int, end: int, whole: bool) -> list[bytes]:
        if old == end - start:
            return [] if whole else [_range_root(start, end, subtree)]
        split = 1 << ((end - start - 1).bit_length() - 1)
        if old <= split:
            return [*walk(old, start, start + split, whole), _range_root(start + split, end, subtree)]
        return [*walk(old - split, start + split, end, False), _range_root(start, start + split, subtree)]

    return walk(old, 0, new, True)


def verify_inclusion(leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> None:
    """Check a proof as RFC 9162 section 2.1.3.2 says; raise Mismatch when the leaf is not shown to be there."""
    if not 0 <= index < size or any(len(item) != 32 for item in (leaf, root, *proof)):
        raise Mismatch(f"The inclusion proof of leaf {index} in a tree of {size} is malformed.")
    node, last, result = index, size - 1, leaf
    for item in proof:
        if last == 0:
            raise Mismatch(f"The inclusion proof of leaf {index} is too long.")
        if node & 1 or node == last:
            result = node_hash(item, result)
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            result = node_hash(result, item)
        node, last = node >> 1, last >> 1
    if last or result != root:
        raise Mismatch(f"The proof does not lead from leaf {index} to the root of the tree of {size}.")


def verify_consistency(old: int, old_root: bytes, new: int, new_root: bytes, proof: Sequence[bytes]) -> None:
    """Check a proof as RFC 9162 section 2.1.4.2 says; raise Mismatch when the new tree does not extend the old."""
    wrong = Mismatch(f"The tree of {new} leaves is not shown to extend the tree of {old}.")
    if not 0 <= old <= new or any(len(item) != 32 for item in (old_root, new_root, *proof)):
        raise wrong
    if new == 0 and new_root != EMPTY:
        raise wrong
    if old in (0, new):
        if proof or old_root != (EMPTY if old == 0 else new_root):
            raise wrong
        return
    if _grown(old, old_root, new, proof) != (old_root, new_root):
        raise wrong


def _grown(old: int, old_root: bytes, new: int, proof: Sequence[bytes]) -> tuple[bytes, bytes] | None:
    """Return the two roots that a consistency proof leads to; None when it has the wrong length."""
    path = [old_root, *proof] if old & (old - 1) == 0 else list(proof)
    if not path:
        return None
    node, last = old - 1, new - 1
    while node & 1:
        node, last = node >> 1, last >> 1
    from_old = from_new = path[0]
    for item in path[1:]:
        if last == 0:
            return None
        if node & 1 or node == last:
            from_old, from_new = node_hash(item, from_old), node_hash(item, from_new)
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            from_new = node_hash(from_new, item)
        node, last = node >> 1, last >> 1
    return None if last else (from_old, from_new)
