"""The offline verifier's own cryptography and parsers: vectors from the texts, and what lenient readers let through."""

import ast
import base64
import hashlib
import sys
from pathlib import Path

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from hypothesis import given
from hypothesis import strategies as st

from governance.dossier import verify
from registry.tlog import merkle, notes
from registry.tlog.vkeys import COSIGNATURE, MLDSA44, Signer
from scoring import runtimes

P, L = 2**255 - 19, 2**252 + 27742317777372353535851937790883648493
SECRET = bytes(range(32))
LOG = Signer("example.com/log", bytes([1] * 32))
W1, W2, W3 = (Signer(f"w{n}.example", bytes([n + 1] * 32), COSIGNATURE) for n in (1, 2, 3))
QUANTUM = Signer("pq.example", bytes([9] * 32), MLDSA44)
TEXT = f"example.com/log\n12\n{base64.b64encode(bytes(32)).decode()}\n"
POLICY = f"""# who is believed
log {LOG.verifier} https://example.com/log
witness one {W1.verifier}
witness two\t{W2.verifier} https://w2.example

witness three {W3.verifier}
witness four {QUANTUM.verifier}
group some 2 one two three
group all-of-it all some four
quorum some
"""


def test_the_verifier_is_one_file_for_python_3_8_short_enough_for_one_sitting():
    text = Path(verify.__file__).read_text()
    tree = ast.parse(text, feature_version=(3, 8))
    imported = {name.name for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names}
    assert not any(isinstance(node, ast.ImportFrom) for node in ast.walk(tree))
    assert imported <= sys.stdlib_module_names
    assert len(text.splitlines()) <= 1100


def test_what_the_platform_answers_the_verifier_accepts():
    assert set(verify.TOLERANCE) == set(runtimes.FLAVOURS)
    assert all(verify.TOLERANCE[flavour] >= runtimes.TOLERANCE[flavour] for flavour in runtimes.FLAVOURS)
    assert verify.LINK_TOLERANCE == runtimes.LINK_TOLERANCE


# ---- Ed25519


@pytest.mark.parametrize(
    ("public", "message", "signature", "good"),
    [  # RFC 8032 section 7.1, tests 1 to 3
        (
            "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
            "",
            "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
            True,
        ),
        (
            "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
            "72",
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
            True,
        ),
        (
            "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
            "af82",
            "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
            True,
        ),
        (
            "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
            "af83",
            "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
            False,
        ),
    ],
)
def test_ed25519_of_rfc_8032(public, message, signature, good):
    assert verify.ed25519(*map(bytes.fromhex, (public, message, signature))) is good


def scalar(secret):
    """The secret scalar of RFC 8032 section 5.1.5."""
    h = bytearray(hashlib.sha512(secret).digest()[:32])
    h[0], h[31] = h[0] & 248, h[31] & 127 | 64
    return int.from_bytes(h, "little")


def encoded(point):
    x, y, z, _ = point
    inverse = pow(z, P - 2, P)
    return (y * inverse % P | (x * inverse % P & 1) << 255).to_bytes(32, "little")


def challenge(r, public, message):
    return int.from_bytes(hashlib.sha512(r + public + message).digest(), "little") % L


def public_of(secret):
    return Ed25519PrivateKey.from_private_bytes(secret).public_key().public_bytes_raw()


def times_base(number):
    return verify._times(number, verify._BASE)


def signed(r_bytes, r, public=None, message=b"x"):
    """A signature whose first half is these bytes: S = r + h·a, as an honest signer of that nonce would compute it."""
    public = public or public_of(SECRET)
    s = (r + challenge(r_bytes, public, message) * scalar(SECRET)) % L
    return r_bytes + s.to_bytes(32, "little")


def number(value):
    return value.to_bytes(32, "little")


def test_ed25519_is_as_others_compute_it():
    public, honest = public_of(SECRET), signed(encoded(times_base(77)), 77)
    assert verify.ed25519(public, b"x", honest)
    Ed25519PublicKey.from_public_bytes(public).verify(honest, b"x")
    assert not verify.ed25519(public, b"y", honest)


SMALL = [  # the encodings of the eight points of small order, canonical and not
    number(1),
    number(P - 1),
    number(0),
    number(0 | 1 << 255),
    number(P),
    number(P + 1),
    number(1 | 1 << 255),
    bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"),
    bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85"),
    bytes.fromhex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"),
    bytes.fromhex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa"),
]


@pytest.mark.parametrize("public", SMALL, ids=bytes.hex)
def test_a_key_of_small_order_verifies_nothing(public):
    """Under such a key one pair (S·B, S) would do for every message, or for one in a few."""
    for nonce in range(8):
        r = encoded(times_base(nonce)) if nonce else number(1)
        for message in (b"a", b"b", b"c", b"d"):
            assert not verify.ed25519(public, message, r + number(nonce))


def test_a_signature_has_one_form():
    public, honest = public_of(SECRET), signed(encoded(times_base(77)), 77)
    r, s = honest[:32], int.from_bytes(honest[32:], "little")
    for other in (s + L, s + 2 * L, L - s, s | 1 << 255, s ^ 1, 0, L):
        assert not verify.ed25519(public, b"x", r + number(other % (1 << 256))), other
    for data in (b"", honest[:-1], honest + b"\0", honest[32:] + honest[:32]):
        assert not verify.ed25519(public, b"x", data)
    for key in (b"", public[:-1], public + b"\0"):
        assert not verify.ed25519(key, b"x", honest)


def test_an_encoding_beyond_the_field_is_no_point():
    """R is the neutral element: the equation holds, but an encoding of it has y = p + 1, another the sign of x = 0."""
    public = public_of(SECRET)
    assert verify.ed25519(public, b"x", signed(number(1), 0))
    for r in (number(P + 1), number(1 | 1 << 255), number(P + 1 | 1 << 255)):
        assert not verify.ed25519(public, b"x", signed(r, 0))
    not_on_the_curve = number(2)
    assert verify._point(not_on_the_curve) is None
    assert not verify.ed25519(not_on_the_curve, b"x", signed(number(1), 0))


def test_the_equation_holds_without_the_cofactor():
    """R moved by a point of order 8 would pass where both sides are multiplied by 8: verifiers would disagree."""
    torsion = verify._point(SMALL[-2])
    moved = encoded(verify._add(times_base(77), torsion))
    assert not verify.ed25519(public_of(SECRET), b"x", signed(moved, 77))


@given(st.binary(min_size=32, max_size=32), st.binary(max_size=80), st.integers(0, 511))
def test_one_flipped_bit_is_refused_as_openssl_refuses_it(secret, message, bit):
    key = Ed25519PrivateKey.from_private_bytes(secret)
    public, signature = key.public_key().public_bytes_raw(), key.sign(message)
    assert verify.ed25519(public, message, signature)
    broken = bytearray(signature)
    broken[bit // 8] ^= 1 << bit % 8
    assert not verify.ed25519(public, message, bytes(broken))
    with pytest.raises(InvalidSignature):
        Ed25519PublicKey.from_public_bytes(public).verify(bytes(broken), message)


# ---- notes, cosignatures, policies


def checkpoint(*signers, text=TEXT, time=1_700_000_000):
    return notes.sign(text, LOG, *signers, time=time).encode()


def opened(note, policy=POLICY, **given):
    read = verify.parse_policy(policy.encode(), "policy") if policy else None
    return verify.open_checkpoint(note, verify.parse_key(str(LOG.verifier), "key"), "note", read, **given)


def test_a_checkpoint_is_sealed_when_the_quorum_has_seen_it():
    second = checkpoint(W2, time=1_700_000_060).decode().rpartition("\n\n")[2].split("\n", 1)[1].encode()
    head = opened(checkpoint(W1) + second, demanded=True)
    assert (head.size, head.root) == (12, bytes(32))
    assert head.cosigned == {"one": 1_700_000_000, "two": 1_700_000_060}
    assert head.sealed == 1_700_000_060


def test_what_the_standard_library_cannot_check_is_named_and_does_not_count():
    head = opened(checkpoint(W1, QUANTUM, Signer("stranger.example", SECRET, COSIGNATURE)))
    assert head.cosigned == {"one": 1_700_000_000}
    assert head.unchecked == ["pq.example (ML-DSA-44)", "stranger.example (unknown key)"]
    assert head.sealed is None
    with pytest.raises(verify.Bad, match="note: cosigned by one, which is not the quorum"):
        opened(checkpoint(W1, QUANTUM), POLICY.replace("quorum some", "quorum all-of-it"), demanded=True)


@pytest.mark.parametrize("signers", [(), (W1,), (W1, QUANTUM)])
def test_a_checkpoint_without_the_quorum_is_refused_only_where_it_is_demanded(signers):
    assert opened(checkpoint(*signers)).sealed is None
    with pytest.raises(verify.Bad, match="which is not the quorum"):
        opened(checkpoint(*signers), demanded=True)
    assert opened(checkpoint(*signers), POLICY.replace("quorum some", "quorum none"), demanded=True).sealed is None


def test_a_cosignature_of_another_checkpoint_or_time_is_refused_beside_good_ones():
    other = checkpoint(W2, text=TEXT.replace("\n12\n", "\n13\n")).decode().splitlines(keepends=True)[-1].encode()
    with pytest.raises(verify.Bad, match="the cosignature by two is wrong"):
        opened(checkpoint(W1, W3) + other)
    whose, _, blob = other.decode().rstrip().rpartition(" ")
    for data in (bytes(8), (1 << 63).to_bytes(8, "big")):
        genuine = base64.b64decode(blob)
        forged = f"{whose} {base64.b64encode(genuine[:4] + data + genuine[12:]).decode()}\n".encode()
        with pytest.raises(verify.Bad, match="the cosignature by two is wrong"):
            opened(checkpoint(W1, W3) + forged)


def test_a_line_twice_counts_once_and_a_false_line_of_the_log_spoils_the_note():
    note = checkpoint(W1)
    line = note.splitlines(keepends=True)[-1]
    assert opened(note + line).cosigned == {"one": 1_700_000_000}
    false = checkpoint(text=TEXT.replace("12", "13")).splitlines(keepends=True)[-1]
    with pytest.raises(verify.Bad, match="the log's signature is wrong"):
        opened(note + false)
    with pytest.raises(verify.Bad, match="the log did not sign it"):
        opened(notes.sign(TEXT, W1, time=5).encode())


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"\n12\n", b"\n012\n"),
        (b"\n12\n", b"\n+12\n"),
        (b"\n12\n", b"\n1_2\n"),
        (b"\n12\n", "\n١٢\n".encode()),
        (b"\n12\n", b"\n9223372036854775808\n"),
        (b"\n12\n", b"\n12\nextension\n"),
        (b"\n12\n", b"\n12 \n"),
        (b"\n", b"\r\n"),
        ("— ".encode(), b"- "),
        ("— ".encode(), "–  ".encode()),
        (b"\n\n", b"\n"),
        (b"\n\n", b"\n\n\n"),
        (b"AAA=", b"AAB="),
        (b"AAA=", b"AAA"),
        (b"AAA=", b"AA=\n"),
        (b"example", b"\xff"),
    ],
)
def test_a_note_has_one_form(old, new):
    note = checkpoint(W1)
    assert old in note
    with pytest.raises(verify.Bad, match="note"):
        opened(note.replace(old, new))
    for data in (b"", note[:-1], note + b"\n", note + b"x", b"\0" + note):
        with pytest.raises(verify.Bad, match="note"):
            opened(data)


def test_a_note_with_more_than_a_hundred_lines_is_refused_before_any_is_checked():
    line = checkpoint(W1).splitlines(keepends=True)[-1].decode()
    crowd = "".join(line.replace("w1.example", f"w{n}.example") for n in range(100))
    assert len(opened(checkpoint() + crowd[: len(crowd) // 2].rpartition("\n")[0].encode() + b"\n").unchecked) > 40
    with pytest.raises(verify.Bad, match="not a signed note"):
        opened(checkpoint() + crowd.encode())


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("quorum some\n", "", "exactly one quorum"),
        ("quorum some\n", "quorum some\nquorum some\n", "exactly one quorum"),
        ("quorum some", "quorum somebody", "nobody is called somebody"),
        ("group some 2", "group some 4", "line 8: not a number of its members"),
        ("group some 2", "group some 0", "not a number of its members"),
        ("group some 2", "group some +2", "not a number of its members"),
        ("group some 2", "group some ٢", "not a number of its members"),
        ("one two three\n", "one two five\n", "not defined above"),
        ("one two three\n", "one two two\n", "is one already"),
        ("all some four", "all some one", "is one already"),
        ("witness three", "witness one", "the name one is taken"),
        ("witness three", "witness none", "the name none is taken"),
        (str(W3.verifier), str(W2.verifier), "a key is named twice"),
        (str(W3.verifier), str(LOG.verifier), "line 6: not a key of a type"),
        (f"log {LOG.verifier}", f"log {W3.verifier}", "line 2: not a key of a type"),
        (str(W3.verifier), str(W3.verifier)[:-1], "not|malformed"),
        ("+", "+0", "does not belong to its bytes"),
        ("log ", "logs ", "not a line of a tlog-policy"),
        ("quorum some", "quorum some more", "not a line of a tlog-policy"),
        ("\n", "\r\n", "control characters"),
        ("\n\n", "\n\x0b\n", "control characters"),
    ],
)
def test_a_policy_has_one_form(old, new, reason):
    assert old in POLICY
    with pytest.raises(verify.Bad, match=reason):
        verify.parse_policy(POLICY.replace(old, new, 1 if old == "+" else -1).encode(), "policy")


def test_names_in_a_policy_are_opaque_bytes_and_groups_may_be_deep():
    kelvin = verify.parse_policy(POLICY.replace("one", "\u212a").encode() + b"# \xff\xfe\n", "policy")
    assert "\u212a" in kelvin.names
    assert "K" not in kelvin.names
    lines = [f"log {LOG.verifier}", f"witness g0 {W1.verifier}", *(f"group g{n + 1} any g{n}" for n in range(20_000))]
    deep = "\n".join([*lines, "quorum g20000", ""])
    assert opened(checkpoint(W1), deep).sealed == 1_700_000_000


# ---- trees


def tree(size):
    leaves = [merkle.leaf_hash(bytes([n % 251])) for n in range(size)]
    return lambda level, index: merkle.root_of(leaves[index << level : (index + 1) << level]), leaves


def head(size, leaves):
    return verify.Head(b"note", size, merkle.root_of(leaves[:size]), {}, [], None)


@given(st.integers(1, 140), st.data())
def test_growth_and_places_are_those_of_rfc_6962(size, data):
    subtree, leaves = tree(size)
    old = data.draw(st.integers(0, size))
    path = merkle.consistency_proof(old, size, subtree) if old else []
    proof = f"old {old}\n".encode() + b"".join(base64.b64encode(item) + b"\n" for item in path) + b"\nnote"
    verify.check_growth(proof, head(old, leaves), head(size, leaves), "growth")
    grown = [subtree(*place) for place in merkle.peaks_at(old)]
    for index in range(old, size):
        verify.grow(grown, index, leaves[index])
    assert verify.root_of(grown) == head(size, leaves).root
    index = data.draw(st.integers(0, size - 1))
    path = merkle.inclusion_proof(index, size, subtree)
    place = f"c2sp.org/tlog-proof@v1\nindex {index}\n".encode() + b"".join(
        base64.b64encode(item) + b"\n" for item in path
    )
    assert verify.included(bytes([index % 251]), place + b"\nnote", head(size, leaves), "proof") == index
    if old:
        lied = verify.Head(b"note", old, bytes(32), {}, [], None)
        with pytest.raises(verify.Bad, match="growth"):
            verify.check_growth(proof, lied, head(size, leaves), "growth")
    if path:
        with pytest.raises(verify.Bad, match="proof"):
            verify.included(b"another", place + b"\nnote", head(size, leaves), "proof")


def test_a_proof_of_another_form_is_refused():
    subtree, leaves = tree(7)
    lines = [base64.b64encode(item).decode() for item in merkle.inclusion_proof(2, 7, subtree)]
    good = "\n".join(["c2sp.org/tlog-proof@v1", "index 2", *lines, "", "note"])
    assert verify.included(b"\x02", good.encode(), head(7, leaves), "proof") == 2
    for bad in (
        good.replace("index 2", "index 02"),
        good.replace("index 2", "index +2"),
        good.replace("index 2", "extra AAAA\nindex 2"),
        good.replace("index 2", "index 7"),
        good.replace("index 2", "index 3"),
        good.replace("@v1", "@v2"),
        good.replace("\nnote", "\nnotes"),
        good.replace("\n\n", "\n"),
        good.replace(lines[0] + "\n", ""),
        good.replace(lines[0], lines[0] + "\n" + lines[0]),
        good.replace(lines[0], lines[0][:-4] + "===="),
    ):
        with pytest.raises(verify.Bad, match="proof"):
            verify.included(b"\x02", bad.encode(), head(7, leaves), "proof")


@pytest.mark.parametrize(
    "text", [b'{"a": 1, "a": 2}', b'{"a": NaN}', b'{"a": -Infinity}', b"\xff", b"[" * 100_000, b""]
)
def test_json_has_one_meaning(text):
    with pytest.raises(verify.Bad, match="record"):
        verify.parse(text, "record")
