"""DSSE envelopes (Dead Simple Signing Envelope v1) around JSON statements: sign bytes, never re-serialise to verify."""

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
    signature = {
        "keyid": str(signer.verifier),
        "sig": base64.b64encode(signer.sign(_pae(IN_TOTO, body))).decode(),
    }
    envelope = {"payloadType": IN_TOTO, "payload": base64.b64encode(body).decode(), "signatures": [signature]}
    return canonical.dump(envelope).decode()


def unseal(envelope: str, verifier: notes.Verifier) -> dict[str, Any]:
    """Return the statement of an envelope that this key signed; Mismatch otherwise."""
    try:
        document = orjson.loads(envelope)
        body = base64.b64decode(document["payload"], validate=True)
        signatures = [base64.b64decode(item["sig"], validate=True) for item in document["signatures"]]
        kind = document["payloadType"]
    except (ValueError, KeyError, TypeError) as error:
        raise Mismatch("This is not a DSSE envelope.") from error
    if kind != IN_TOTO or len(signatures) != 1:
        raise Mismatch("This envelope does not hold one signed in-toto statement.")
    verifier.verify(_pae(kind, body), signatures[0])
    statement: dict[str, Any] = orjson.loads(body)
    return statement
