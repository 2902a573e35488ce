"""The tree of RFC 6962: its own vectors, every proof of every small tree, and nothing but the right bytes accepted."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from registry.refusals import Mismatch
from registry.tlog import merkle
from tests.logs import Tree, flipped

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


def test_known_roots():
    tree = Tree(LEAVES)
    assert [tree.root(size).hex() for size in range(9)] == ROOTS


SIZE = 300
BIG = Tree([f"leaf {number}".encode() for number in range(SIZE)])


# From proof/verify_test.go of transparency-dev/merkle: index and size, or old and new size, with the proof.
INCLUSIONS = [
    (0, 1, []),
    (
        0,
        8,
        [
            "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
        ],
    ),
    (
        5,
        8,
        [
            "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
            "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        ],
    ),
    (2, 3, ["fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"]),
    (
        1,
        5,
        [
            "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        ],
    ),
]
CONSISTENCIES = [
    (1, 1, []),
    (1, 8, INCLUSIONS[1][2]),
    (
        6,
        8,
        [
            "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
            "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        ],
    ),
    (2, 5, INCLUSIONS[4][2][1:]),
    (
        6,
        7,
        [
            "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
            "b08693ec2e721597130641e8211e7eedccb4c26413963eee6c1e2ed16ffb1a5f",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        ],
    ),
]


@pytest.mark.parametrize(("index", "size", "proof"), INCLUSIONS)
def test_inclusion_is_proved_as_others_prove_it(index, size, proof):
    tree, known = Tree(LEAVES), [bytes.fromhex(item) for item in proof]
    assert merkle.inclusion_proof(index, size, tree.subtree) == known
    merkle.verify_inclusion(merkle.leaf_hash(LEAVES[index]), index, size, known, bytes.fromhex(ROOTS[size]))


@pytest.mark.parametrize(("old", "new", "proof"), CONSISTENCIES)
def test_consistency_is_proved_as_others_prove_it(old, new, proof):
    known = [bytes.fromhex(item) for item in proof]
    assert merkle.consistency_proof(old, new, Tree(LEAVES).subtree) == known
    merkle.verify_consistency(old, bytes.fromhex(ROOTS[old]), new, bytes.fromhex(ROOTS[new]), known)


@pytest.mark.parametrize(
    ("old", "old_root", "new", "new_root", "proof"),
    [
        (0, bytes(32), 0, bytes(32), []),
        (0, bytes(32), 5, BIG.root(5), []),
        (0, merkle.EMPTY, 0, bytes(32), []),
        (0, merkle.EMPTY, 5, BIG.root(5), [merkle.EMPTY]),
        (5, BIG.root(5), 5, BIG.root(6), []),
        (5, BIG.root(5), 5, BIG.root(5), [merkle.EMPTY]),
        (5, BIG.root(5), 4, BIG.root(4), []),
        (5, BIG.root(5), 6, BIG.root(6), []),
        (-1, BIG.root(5), 6, BIG.root(6), []),
        (5, BIG.root(5)[:31], 5, BIG.root(5)[:31], []),
    ],
)
def test_trees_that_need_no_proof_are_held_against_their_roots(old, old_root, new, new_root, proof):
    with pytest.raises(Mismatch):
        merkle.verify_consistency(old, old_root, new, new_root, proof)


def test_every_proof_to_size_300_is_good():
    for size in range(1, SIZE + 1):
        root = BIG.root(size)
        for index in {0, size // 2, size - 1, size * 7 % size, size & 0xAA} & set(range(size)):
            merkle.verify_inclusion(BIG.hashes[index], index, size, BIG.inclusion(index, size), root)
            if index:
                merkle.verify_consistency(index, BIG.root(index), size, root, BIG.consistency(index, size))


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
        changed = flipped(proof[place], data.draw(st.integers(0, 255)))
        spoiled += [
            (leaf, index, size, [*proof[:place], changed, *proof[place + 1 :]], root),
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
        place = data.draw(st.integers(0, len(proof) - 1))
        changed = flipped(proof[place], data.draw(st.integers(0, 255)))
        spoiled.append((old, BIG.root(old), new, BIG.root(new), [*proof[:place], changed, *proof[place + 1 :]]))
    for wrong in spoiled:
        with pytest.raises(Mismatch):
            merkle.verify_consistency(*wrong)


def test_the_root_of_a_full_tree_is_the_same_by_either_way():
    for size in (1, 2, 4, 64, 256):
        assert merkle.root_of_full(BIG.hashes[:size]) == BIG.root(size)
    with pytest.raises(ValueError, match="shorter"):
        merkle.root_of_full(BIG.hashes[:6])


def test_peaks_grow_into_the_same_root():
    peaks = merkle.Peaks()
    for size, leaf in enumerate(BIG.hashes, 1):
        peaks.add(leaf)
        assert peaks.root() == BIG.root(size)
        assert peaks.hashes == [BIG.subtree(*place) for place in merkle.peaks_at(size)]
