"""Signed notes and their keys: notes that others signed, and strictness where lenient parsers let forgeries through."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from governance.dossier import verify
from registry.refusals import Mismatch
from registry.tlog import cosignatures, notes, strict, vkeys
from registry.tlog.trust import Policy
from tests.logs import NOON, Log, flipped, witness_key

SIGNER = notes.Signer("example.com/log", bytes(range(32)))
MLDSA = notes.Signer("example.com/log", bytes(range(32)), vkeys.MLDSA44)
HEAD = notes.Checkpoint("example.com/log", 12, bytes(32))
# From the documentation of golang.org/x/mod/sumdb/note.
PETER = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
NOTE = (
    "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n\n"
    "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
)
# Heads of Go's checksum database, as found in tests of transparency-dev/formats and of programs that keep its answers.
GO = "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8"
GO_HEADS = [
    "go.sum database tree\n6476701\nmb8QLQIs0Z0yP5Cstq6guj87oXWeC9gEM8oVikmm9Wk=\n\n"
    "— sum.golang.org Az3grsLX85Gz+s1SiTbgkuqxgItqFq7gsMUEyVnrsa9LM7Us9S+1xbFIGu95949rj4nPRYfvimWEPWL+o3GeoWwOoAw=\n",
    "go.sum database tree\n65209736\n5+uGFjx6xBZG8ip1+wi77v+grwbhhukIrxEUS8PXvRo=\n\n"
    "— sum.golang.org Az3grnbssgK7ubgFX36gVETtNv0U23qxyAhAMai2QUfeGa3nB/akvkMdlUErfcZz7l/R3cVtYspg3dxXABkGZZKdsQ8=\n",
]
# A log that signs with ML-DSA-44 alone: key, then head. From litewitness/testdata/mldsa.txt of FiloSottile/torchwood.
MLDSA_LOG, _, MLDSA_HEAD = (Path(__file__).parent / "vectors" / "mldsa_log.txt").read_text().partition("\n")


def test_a_note_signed_by_go_is_accepted():
    assert notes.open_note(NOTE, notes.Verifier.parse(PETER)).startswith("If you think")


@pytest.mark.parametrize("head", GO_HEADS)
def test_heads_of_the_checksum_database_are_accepted(head):
    trusted = Policy.parse(f"log {GO}\nquorum none\n".encode()).verify(head)
    assert trusted.checkpoint.size == int(head.split("\n")[1])
    with pytest.raises(Mismatch, match="does not belong"):
        notes.open_note(head.replace("\n6", "\n7", 1), notes.Verifier.parse(GO))


def test_a_head_signed_with_ml_dsa_by_another_log_is_accepted():
    key = notes.Verifier.parse(MLDSA_LOG)
    assert notes.Note.parse(MLDSA_HEAD).signed_by(key) == [0]
    assert notes.open_checkpoint(MLDSA_HEAD, key).size == 1
    with pytest.raises(Mismatch, match="does not belong"):
        notes.open_checkpoint(MLDSA_HEAD.replace("\n1\n", "\n2\n", 1), key)


def test_a_log_may_sign_with_both_kinds():
    note = notes.sign(str(HEAD), SIGNER, MLDSA)
    assert [notes.open_checkpoint(note, key.verifier) for key in (SIGNER, MLDSA)] == [HEAD, HEAD]
    assert [line.split(" ")[1] for line in note.split("\n")[4:6]] == ["example.com/log"] * 2


# From the tests of transparency-dev/formats: private key and vkey; further vkeys of three kinds.
PAIRS = [
    (
        "PRIVATE+KEY+Wit1+55ee4561+AeadRiG7XM4XiieCHzD8lxysXMwcViy5nYsoXURWGrlE",
        "Wit1+55ee4561+AVhZSmQj9+SoL+p/nN0Hh76xXmF7QcHfytUrI1XfSClk",
    ),
    (
        "PRIVATE+KEY+Wit2+85ecc407+AfPTvxw5eUcqSgivo2vaiC7JPOMUZ/9baHPSDrWqgdGm",
        "Wit2+85ecc407+AWVbwFJte9wMQIPSnEnj4KibeO6vSIOEDUTDp3o63c2x",
    ),
]


@pytest.mark.parametrize(("private", "public"), PAIRS)
def test_keys_of_others_belong_together(private, public):
    signer = notes.Signer.parse(private)
    assert (str(signer), str(signer.verifier)) == (private, public)


@pytest.mark.parametrize(
    ("vkey", "kind"),
    [
        ("TEST+7997405c+AQcC+FTVKf0jlTdHDY3rbevmnKxxPjigCXlVtGe6RIr6", vkeys.ED25519),
        ("remora.n621.de+da77ade7+BOvN63jn/bLvkieywe8R6UYAtVtNbZpXh34x7onlmtw2", vkeys.COSIGNATURE),
        (MLDSA_LOG, vkeys.MLDSA44),
    ],
)
def test_vkeys_of_others_are_read(vkey, kind):
    assert notes.Verifier.parse(vkey).kind == kind
    assert str(notes.Verifier.parse(vkey)) == vkey


@pytest.mark.parametrize("kind", [vkeys.ED25519, vkeys.COSIGNATURE, vkeys.MLDSA44])
def test_keys_survive_their_text_form(kind):
    signer = notes.Signer("example.com/log", bytes(range(32)), kind)
    assert notes.Verifier.parse(str(signer.verifier)) == signer.verifier
    assert notes.Signer.parse(f"{signer}\n") == signer
    assert "AAEC" not in repr(signer)


@pytest.mark.parametrize(
    "vkey",
    [
        "",
        "bananas.example+12344556",
        "name+12345678+THIS_IS_NOT_BASE64!",
        "name+12345678+AwEB",
        PETER.replace("c74f20a3", "c74f20a4"),
        PETER.replace("c74f20a3", "C74F20A3"),
        PETER.replace("PeterNeumann", "Peter Neumann"),
        PETER.replace("PeterNeumann", "Peter\u2028Neumann"),
        PETER + "=",
        PETER + "\n",
        PETER[:-1],
        PETER.replace("+ARpc", "+AhPc"),
        "+e3b0c442+AQ==",
    ],
)
def test_a_damaged_vkey_is_refused(vkey):
    with pytest.raises(Mismatch):
        notes.Verifier.parse(vkey)


@pytest.mark.parametrize("text", ["", "PRIVATE+KEY+x", str(SIGNER.verifier), str(SIGNER)[:-4], str(SIGNER) + "AAAA"])
def test_a_damaged_private_key_is_refused(text):
    with pytest.raises(Mismatch):
        notes.Signer.parse(text)
    with pytest.raises(Mismatch, match="damaged"):
        notes.Signer.parse(str(SIGNER).replace(SIGNER.verifier.id.hex(), "00000000"))


def test_a_checkpoint_survives_signing():
    note = notes.sign(str(HEAD), SIGNER)
    assert notes.open_checkpoint(note, SIGNER.verifier) == HEAD
    assert notes.open_checkpoint(note.encode(), SIGNER.verifier) == HEAD
    head = verify.open_checkpoint(note.encode(), verify.parse_key(str(SIGNER.verifier), "key"), "note")
    assert (head.size, head.root) == (12, bytes(32))


SIZES = ["+12", "1_2", " 12", "12 ", "012", "00", "-0", "٣", "¹", "1\u2028", "0x1", "1e1", "", str(1 << 63)]
ROOTS = [
    "",
    "A" * 43,
    "A" * 43 + "B=",
    "A" * 42 + "==",
    "A" * 44,
    "_" + "A" * 42 + "=",
    "A" * 43 + "= ",
    "A\u2028" + "A" * 42,
]


@pytest.mark.parametrize(
    "text",
    [
        *(f"example.com/log\n{size}\n{'A' * 43}=\n" for size in SIZES),
        *(f"example.com/log\n12\n{root}\n" for root in ROOTS),
        f"\n12\n{'A' * 43}=\n",
        f"example.com/log\n12\n{'A' * 43}=\nextension\n",
        f"example.com/log\n12\n{'A' * 43}=",
        f"example.com/log\r\n12\r\n{'A' * 43}=\r\n",
        "example.com/log\n12\n",
        "",
    ],
)
def test_the_text_of_a_checkpoint_has_one_spelling(text):
    with pytest.raises(Mismatch):
        notes.Checkpoint.parse(text)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("\n12\n", "\n012\n"),
        ("\n12\n", "\n12\nextension\n"),
        ("example.com/log\n12", "example.com/lot\n12"),
        ("— ", "- "),
        ("— ", "—  "),
        ("— ", " — "),
        ("— ", "—\u2028"),
        ("\n\n", "\r\n\r\n"),
        ("\n\n", "\n"),
        ("=\n", "= \n"),
        ("=\n", "\n"),
        ("=\n", "==\n"),
        ("\n—", "\nfree text\n—"),
        ("12", "1\t2"),
        ("12", "1\x002"),
    ],
)
def test_a_checkpoint_in_another_form_is_refused(old, new):
    head, blank, lines = notes.sign(str(HEAD), SIGNER).partition("\n\n")
    for note in (f"{head}{blank}{lines}".replace(old, new, 1), f"{head}{blank}{lines.replace(old, new)}"):
        if note != f"{head}{blank}{lines}":
            with pytest.raises(Mismatch):
                notes.open_checkpoint(note, SIGNER.verifier)


@pytest.mark.parametrize("name", ["two words", "a+b", "a\u00a0b", "a\u3000b", ""])
def test_a_name_with_a_space_or_plus_is_refused(name):
    line = f"— {name} {strict.encode(bytes(68))}\n"
    with pytest.raises(Mismatch, match="malformed"):
        notes.Note.parse(f"text\n\n{line}")


@pytest.mark.parametrize("control", ["\0", "\t", "\r", "\x0b", "\x0c", "\x1f"])
def test_a_text_with_control_characters_is_refused_though_it_is_signed(control):
    with pytest.raises(Mismatch, match="control"):
        notes.open_note(notes.sign(f"a{control}b\n", SIGNER), SIGNER.verifier)


def test_what_is_not_text_is_refused():
    note = notes.sign(str(HEAD), SIGNER).encode()
    for data in (b"", b"\n", b"\xff\n\n" + note, note.replace("—".encode(), b"\xe2\x80"), note + b"\n", note[:-1]):
        with pytest.raises(Mismatch):
            notes.open_checkpoint(data, SIGNER.verifier)


def test_every_flipped_bit_of_a_note_is_refused():
    note = notes.sign(str(HEAD), SIGNER).encode()
    for bit in range(len(note) * 8):
        with pytest.raises(Mismatch):
            notes.open_checkpoint(flipped(note, bit), SIGNER.verifier)


def test_a_note_may_have_a_hundred_signatures_and_a_megabyte_but_no_more():
    strangers = [notes.Signer(f"stranger{number}", bytes(32)) for number in range(99)]
    notes.open_note(notes.sign("text\n", *strangers, SIGNER), SIGNER.verifier)
    with pytest.raises(Mismatch, match="100"):
        notes.open_note(notes.sign("text\n", *strangers, SIGNER, MLDSA.__class__("other", bytes(32))), SIGNER.verifier)
    notes.open_note(notes.sign("x" * 999_800 + "\n", SIGNER), SIGNER.verifier)
    with pytest.raises(Mismatch, match="1000000"):
        notes.open_note(notes.sign("x" * 1_000_000 + "\n", SIGNER), SIGNER.verifier)


def test_unknown_signatures_are_ignored_repeats_allowed_and_a_false_known_one_spoils_the_note():
    note = notes.sign(str(HEAD), SIGNER)
    line = note.split("\n\n")[1]
    other = notes.sign(str(HEAD), notes.Signer("example.com/log", bytes(32))).split("\n\n")[1]  # same name, other id
    assert notes.open_checkpoint(note + other + line, SIGNER.verifier) == HEAD
    false = notes.sign(str(HEAD).replace("12", "13"), SIGNER).split("\n\n")[1]
    for spoiled in (note + false, note.replace(line, false + line), note.replace(line, false)):
        with pytest.raises(Mismatch, match="does not belong"):
            notes.open_checkpoint(spoiled, SIGNER.verifier)
    with pytest.raises(Mismatch, match="no signature"):
        notes.open_note(note.replace(line, other), SIGNER.verifier)


def test_a_text_may_hold_empty_lines_and_its_end_is_the_last_one():
    text = "one\n\n— example.com/log AAAAAAAA\n\nthree\n"
    assert notes.open_note(notes.sign(text, SIGNER), SIGNER.verifier) == text


# From the text of tlog-cosignature.
SOFA = "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"


def test_an_ed25519_cosigner_signs_what_the_format_says():
    signed = cosignatures.message(vkeys.COSIGNATURE, "witness.example/w1", SOFA.encode(), 1679315147)
    assert signed == b"cosignature/v1\ntime 1679315147\n" + SOFA.encode()


def test_an_ml_dsa_cosigner_signs_what_the_format_says():
    signed = cosignatures.message(vkeys.MLDSA44, "witness.example/w1", SOFA.encode(), 1679315147)
    root = "0ac5186a91863e8e1d90c808014aa89bf5da8e3ee1d9f07630f0378f68f1ab62"
    assert (
        signed.hex()
        == (
            "737562747265652f76310a00"  # subtree/v1, line feed, zero
            "12" + b"witness.example/w1".hex() + f"{1679315147:016x}"
            "1b" + b"example.com/behind-the-sofa".hex() + f"{0:016x}{20852163:016x}" + root
        )
    )


def test_the_time_of_a_cosignature_by_others_is_read():
    payload = "ZGhGuQAAAABm/qTPeyKXD+R2rzyQsxPiP8mXum7qq/iF0u4vanlqJyocWODBt97w9uL+8qT7S5gxEHWWOworDcFiEBYJXORmnFBOBA=="
    line = notes.Signature.parse(f"— witness.example {payload}")  # from the tests of transparency-dev/formats
    assert int.from_bytes(line.payload[:8]) == 1727964367
    assert len(line.payload) == 72


@pytest.mark.parametrize("kind", [vkeys.COSIGNATURE, vkeys.MLDSA44])
def test_a_cosignature_attests_its_time_and_belongs_to_its_checkpoint(kind):
    log, witness = Log.of(3), witness_key(kind=kind)
    note = notes.Note.parse(log.note(3, witness))
    assert note.signed_by(witness.verifier) == [NOON]
    name_changed = notes.Verifier("witness.example/w2", witness.verifier.public, kind)
    line = notes.Signature(name_changed.name, name_changed.id, note.signatures[1].payload)
    if kind == vkeys.MLDSA44:  # which commits to the cosigner's name
        with pytest.raises(Mismatch):
            line.check(name_changed, note.text)
    payload = note.signatures[1].payload
    later = notes.Signature(witness.name, witness.verifier.id, (NOON + 1).to_bytes(8) + payload[8:])
    endless = notes.Signature(witness.name, witness.verifier.id, b"\xff" * 8 + payload[8:])
    for wrong, text in [(later, note.text), (endless, note.text), (note.signatures[1], log.note(2).encode())]:
        with pytest.raises(Mismatch):
            wrong.check(witness.verifier, text)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_every_flipped_bit_of_an_ml_dsa_signature_is_refused(data):
    note = notes.Note.parse(MLDSA_HEAD)
    payload = note.signatures[0].payload
    bit = data.draw(st.integers(0, len(payload) * 8 - 1))
    line = notes.Signature(note.signatures[0].name, note.signatures[0].id, flipped(payload, bit))
    with pytest.raises(Mismatch):
        line.check(notes.Verifier.parse(MLDSA_LOG), note.text)


@pytest.mark.parametrize("origin", ["x" * 256, "é" * 128])
def test_an_ml_dsa_signature_cannot_name_a_log_of_more_than_255_bytes(origin):
    with pytest.raises(Mismatch, match="255"):
        notes.sign(str(notes.Checkpoint(origin, 1, bytes(32))), MLDSA)
