"""Envelopes: one form, one signature, and no byte of them is free."""

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry import canonical, dsse
from registry.refusals import Mismatch
from registry.tlog.notes import Signer

SIGNER = Signer("example.com/warrants", bytes(range(32)))
STATEMENT = {"_type": "https://in-toto.io/Statement/v1", "subject": [{"digest": {"sha256": "ab" * 32}}], "n": [1, None]}
ENVELOPE = dsse.seal(STATEMENT, SIGNER)


def refused(envelope):
    with pytest.raises(Mismatch):
        dsse.unseal(envelope, SIGNER.verifier)


def changed(**parts):
    return canonical.dump(json.loads(ENVELOPE) | parts).decode()


def test_what_is_signed_is_the_encoding_of_the_specification():
    """The example of DSSE's protocol.md, section "Test Vectors"."""
    expected = b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    assert dsse._pae("http://example.com/HelloWorld", b"hello world") == expected
    assert dsse.unseal(ENVELOPE, SIGNER.verifier) == STATEMENT


@given(st.integers(0, len(ENVELOPE) * 7 - 1))
def test_every_flipped_bit_is_refused(place):
    data = bytearray(ENVELOPE.encode())
    data[place // 7] ^= 1 << place % 7
    refused(data.decode())


@given(st.text(), st.integers(0, len(ENVELOPE)))
def test_text_put_in_anywhere_is_refused(text, place):
    if text:
        refused(ENVELOPE[:place] + text + ENVELOPE[place:])
    refused(text)
    refused(ENVELOPE[:place] if place < len(ENVELOPE) else "")


def test_only_one_signature_by_the_known_key_counts():
    signature = json.loads(ENVELOPE)["signatures"][0]
    stranger = Signer("example.com/warrants", bytes(32))
    named_as_ours = json.loads(dsse.seal(STATEMENT, stranger))
    named_as_ours["signatures"][0]["keyid"] = str(SIGNER.verifier)
    for envelope in (
        dsse.seal(STATEMENT, stranger),
        canonical.dump(named_as_ours).decode(),
        changed(signatures=[]),
        changed(signatures=[signature, signature]),
        changed(signatures=[signature, json.loads(dsse.seal(STATEMENT, stranger))["signatures"][0]]),
        changed(signatures=[signature | {"keyid": ""}]),
        changed(signatures=[{"sig": signature["sig"]}]),
        changed(signatures=[signature | {"extra": 1}]),
        changed(signatures=signature),
        changed(extra=1),
        changed(payload=None),
        "[]",
        "5",
        "[" * 100_000,
        '"\\ud800"',
    ):
        refused(envelope)


@pytest.mark.parametrize("kind", ["application/json", "APPLICATION/VND.IN-TOTO+JSON", "", None])
def test_another_payload_type_is_refused(kind):
    refused(changed(payloadType=kind))


def test_base64_is_taken_in_its_one_form_only():
    payload = json.loads(ENVELOPE)["payload"]
    assert payload.endswith("=")
    last = payload.rstrip("=")[-1]
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    sibling = alphabet[alphabet.index(last) + 1]
    same = payload.rstrip("=")[:-1] + sibling + "=" * payload.count("=")
    assert base64.b64decode(same) == base64.b64decode(payload)
    for other in (
        same,
        payload.rstrip("="),
        payload + "=",
        payload[:8] + "\n" + payload[8:],
        payload.replace("+", "-"),
    ):
        if other != payload:
            refused(changed(payload=other))


def test_a_signed_statement_in_another_form_is_refused():
    for body in (b'{"a": 1}', b"[1]", b'{"b":1,"a":2}', b"not JSON"):
        refused(dsse._write(body, str(SIGNER.verifier), SIGNER.sign(dsse._pae(dsse.IN_TOTO, body))))
