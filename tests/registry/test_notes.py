"""Signed notes: the Go vectors of the format, and strictness where lenient parsers let forgeries through."""

import pytest

from governance.dossier import verify
from registry.refusals import Mismatch
from registry.tlog import notes

SIGNER = notes.Signer("example.com/log", bytes(range(32)))
# From the documentation of golang.org/x/mod/sumdb/note.
PETER = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
NOTE = (
    "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n\n"
    "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
)


def test_a_note_signed_by_go_is_accepted():
    assert notes.open_note(NOTE, notes.Verifier.parse(PETER)).startswith("If you think")


def test_keys_survive_their_text_form():
    assert notes.Verifier.parse(str(SIGNER.verifier)) == SIGNER.verifier
    assert notes.Signer.parse(str(SIGNER)) == SIGNER
    assert "AAEC" not in repr(SIGNER)


def test_a_checkpoint_survives_signing():
    made = notes.Checkpoint("example.com/log", 12, bytes(32))
    note = notes.sign(str(made), SIGNER)
    assert notes.open_checkpoint(note, SIGNER.verifier) == made
    assert verify.open_checkpoint(note, verify.parse_key(str(SIGNER.verifier), "key"), "note") == (12, bytes(32))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("\n12\n", "\n012\n"),
        ("\n12\n", "\n+12\n"),
        ("\n12\n", "\n1_2\n"),
        ("\n12\n", "\n٣\n"),
        ("\n12\n", "\n12\nextension\n"),
        ("example.com/log\n12", "example.com/lot\n12"),
        ("— ", "- "),
        ("\n\n", "\r\n\r\n"),
        ("\n\n", "\n"),
    ],
)
def test_a_checkpoint_in_another_form_is_refused(old, new):
    note = notes.sign(str(notes.Checkpoint("example.com/log", 12, bytes(32))), SIGNER)
    with pytest.raises(Mismatch):
        notes.open_checkpoint(note.replace(old, new, 1), SIGNER.verifier)


def test_another_key_of_the_same_name_is_refused():
    note = notes.sign(str(notes.Checkpoint("example.com/log", 12, bytes(32))), SIGNER)
    with pytest.raises(Mismatch, match="no signature"):
        notes.open_note(note, notes.Signer("example.com/log", bytes(32)).verifier)


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
def test_the_offline_verifier_knows_ed25519(public, message, signature, good):
    assert verify.ed25519(*map(bytes.fromhex, (public, message, signature))) is good
