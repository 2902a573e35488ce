"""Timestamped signatures over a checkpoint (tlog-cosignature): what is signed, and the bytes that carry it.

A witness's cosignature says: at this time, this was the largest tree of that log I had seen, and it extends every
earlier one. The payload of its signature line is the time (u64, seconds since 1970) followed by the signature. The
Ed25519 kind (0x04) signs the whole text, the ML-DSA-44 kind (0x06) a structure that also commits to the cosigner's
name. A log that signs its own checkpoints with ML-DSA-44 does so in the same structure, under its origin as name; it
may leave the time zero, which makes no statement about time.
"""

from registry.refusals import Mismatch
from registry.tlog import strict
from registry.tlog.checkpoints import Checkpoint
from registry.tlog.vkeys import COSIGNATURE, MLDSA44, Signer, Verifier

KINDS = (COSIGNATURE, MLDSA44)
_TIME = 8  # bytes


def message(kind: int, name: str, text: bytes, time: int) -> bytes:
    """Return the bytes that the cosigner of this name signs for the text of a checkpoint; Mismatch for other texts."""
    checkpoint = Checkpoint.parse(text)
    if not 0 <= time <= strict.LARGEST:
        raise Mismatch(f"{time} is not the time of a cosignature.")
    if kind == COSIGNATURE:
        return b"cosignature/v1\ntime %d\n%s" % (time, text)
    return b"".join(
        (
            b"subtree/v1\n\0",
            _short(name),
            time.to_bytes(_TIME),
            _short(checkpoint.origin),
            (0).to_bytes(8),  # a checkpoint's tree starts at the first leaf
            checkpoint.size.to_bytes(8),
            checkpoint.root,
        )
    )


def _short(name: str) -> bytes:
    data = name.encode()
    if not 1 <= len(data) <= 255:
        raise Mismatch(f"The name {name[:20]!r} has {len(data)} bytes; an ML-DSA-44 cosignature can hold 1 to 255.")
    return bytes([len(data)]) + data


def make(signer: Signer, text: bytes, time: int) -> bytes:
    """Return the payload of a signature line: the time in seconds since 1970, then the signature."""
    return time.to_bytes(_TIME) + signer.sign(message(signer.kind, signer.name, text, time))


def check(verifier: Verifier, text: bytes, payload: bytes) -> int:
    """Return the time of a cosignature over this text, in seconds since 1970; Mismatch unless this key made it."""
    time = int.from_bytes(payload[:_TIME])
    verifier.verify(message(verifier.kind, verifier.name, text, time), payload[_TIME:])
    return time
