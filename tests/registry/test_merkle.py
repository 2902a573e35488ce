"""The tree of RFC 6962: its own vectors, every proof of every small tree, and nothing but the right bytes accepted."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from registry.refusals import Mismatch
from registry.tlog import merkle

# The eight leaves and roots that the Certificate Transparency reference implementations share.
LEAVES = [
    bytes.fromhex(h)
    for h in ("", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f")
]
ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]


class Tree:
    def __init__(self, leaves):
        self.hashes = [merkle.leaf_hash(leaf) for leaf in leaves]

    def subtree(self, level, index):
        return merkle.root_of(self.hashes[index << level : (index + 1) << level])

    def root(self, size):
        return merkle.root_of(self.hashes[:size])


def test_known_roots():
    tree = Tree(LEAVES)
    assert [tree.root(size).hex() for size in range(9)] == ROOTS


SIZE = 300
BIG = Tree([f"leaf {number}".encode() for number in range(SIZE)])


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_inclusion_is_proved_and_every_change_refused(data):
    size = data.draw(st.integers(1, SIZE))
    index = data.draw(st.integers(0, size - 1))
    proof = merkle.inclusion_proof(index, size, BIG.subtree)
    root, leaf = BIG.root(size), BIG.hashes[index]
    merkle.verify_inclusion(leaf, index, size, proof, root)
    spoiled = [(BIG.hashes[(index + 1) % size], index, size, proof, root)] if size > 1 else []
    spoiled += [
        (leaf, index, size, [*proof, root], root),
        (leaf, index, size, proof, BIG.root(size - 1)),
        (leaf, size, size, proof, root),
    ]
    if proof:
        place = data.draw(st.integers(0, len(proof) - 1))
        bit = data.draw(st.integers(0, 255))
        flipped = (int.from_bytes(proof[place], "big") ^ (1 << bit)).to_bytes(32, "big")
        spoiled += [
            (leaf, index, size, [*proof[:place], flipped, *proof[place + 1 :]], root),
            (leaf, index, size, proof[:-1], root),
        ]
    for wrong in spoiled:
        with pytest.raises(Mismatch):
            merkle.verify_inclusion(*wrong)


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_consistency_is_proved_and_every_change_refused(data):
    new = data.draw(st.integers(1, SIZE))
    old = data.draw(st.integers(1, new))
    proof = merkle.consistency_proof(old, new, BIG.subtree)
    merkle.verify_consistency(old, BIG.root(old), new, BIG.root(new), proof)
    spoiled = [
        (old, BIG.root(old - 1), new, BIG.root(new), proof),
        (old, BIG.root(old), new, BIG.root(new), [*proof, BIG.root(1)]),
    ]
    if proof:
        spoiled.append((old, BIG.root(old), new, BIG.root(new), proof[:-1]))
        spoiled.append((old, BIG.root(old), new, BIG.root(new), [bytes(32), *proof[1:]]))
    for wrong in spoiled:
        with pytest.raises(Mismatch):
            merkle.verify_consistency(*wrong)


def test_peaks_grow_into_the_same_root():
    peaks = merkle.Peaks()
    for size, leaf in enumerate(BIG.hashes, 1):
        peaks.add(leaf)
        assert peaks.root() == BIG.root(size)
        assert peaks.hashes == [BIG.subtree(*place) for place in merkle.peaks_at(size)]
