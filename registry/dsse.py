"""DSSE envelopes (Dead Simple Signing Envelope v1) around JSON statements: sign bytes, never re-serialise to verify.

Stricter than the specification: one signature by one known key, in the one form that `seal` writes. So no byte of an
envelope is free, its hint of a key (`keyid`, which DSSE leaves unsigned) included.
"""

import base64
from typing import Any

import orjson

from registry import canonical
from registry.refusals import Mismatch
from registry.tlog import notes

IN_TOTO = "application/vnd.in-toto+json"


def _pae(kind: str, body: bytes) -> bytes:
    """Return the pre-authentication encoding: what is really signed."""
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind.encode(), len(body), body)


def seal(statement: dict[str, Any], signer: notes.Signer) -> str:
    """Return the envelope of a statement, signed."""
    body = canonical.dump(statement)
    return _write(body, str(signer.verifier), signer.sign(_pae(IN_TOTO, body)))


def _write(body: bytes, key: str, signature: bytes) -> str:
    signed = {"keyid": key, "sig": base64.b64encode(signature).decode()}
    envelope = {"payloadType": IN_TOTO, "payload": base64.b64encode(body).decode(), "signatures": [signed]}
    return canonical.dump(envelope).decode()


def unseal(envelope: str, verifier: notes.Verifier) -> dict[str, Any]:
    """Return the statement of an envelope that this key signed; Mismatch for anything `seal` would not have written."""
    body, signature = _read(envelope)
    if envelope != _write(body, str(verifier), signature):
        raise Mismatch("This envelope does not hold one in-toto statement under the governor's key, and nothing else.")
    verifier.verify(_pae(IN_TOTO, body), signature)
    statement = _json(body)
    if not isinstance(statement, dict) or canonical.dump(statement) != body:
        raise Mismatch("What is signed is not a statement in canonical form.")
    return statement


def _read(envelope: str) -> tuple[bytes, bytes]:
    """Return body and signature, wherever they are in the envelope: its form is compared afterwards."""
    try:
        document = _json(envelope.encode())
        parts = document["payload"], document["signatures"][0]["sig"]
        body, signature = (base64.b64decode(part, validate=True) for part in parts)
    except (ValueError, LookupError, TypeError) as error:
        raise Mismatch("This is not a DSSE envelope.") from error
    return body, signature


def _json(data: bytes) -> Any:
    try:
        return orjson.loads(data)
    except ValueError as error:
        raise Mismatch("This is not JSON.") from error
