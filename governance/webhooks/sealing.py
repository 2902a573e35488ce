"""Secrets of webhooks, sealed: whoever takes one down cannot read it again, only the process that sends can.

HPKE (RFC 9180) with X25519, HKDF-SHA256 and ChaCha20Poly1305. `about` binds a sealed secret to its webhook: put into
another row it does not open.
"""

import base64
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite
from django.conf import settings

from registry import durable
from registry.refusals import Mismatch, Unavailable

_SUITE = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.CHACHA20_POLY1305)


def ensure(private: Path, public: Path) -> None:
    """Make the key pair unless it is there: the private half readable by its owner alone."""
    if not private.exists():
        durable.write(private, base64.b64encode(X25519PrivateKey.generate().private_bytes_raw()), mode=0o600)
    key = X25519PrivateKey.from_private_bytes(base64.b64decode(private.read_text()))
    durable.write(public, base64.b64encode(key.public_key().public_bytes_raw()))


def seal(secret: str, about: str) -> bytes:
    """Return a secret that only the process that sends can open."""
    try:
        key = X25519PublicKey.from_public_bytes(base64.b64decode(settings.WEBHOOK_PUBLIC_KEY_FILE.read_text()))
    except OSError as error:
        raise Unavailable("The public key of webhooks cannot be read. Run `manage.py setup_platform`.") from error
    return _SUITE.encrypt(secret.encode(), key, about.encode())


def unseal(sealed: bytes, about: str) -> str:
    """Return the secret; Unavailable in a process without the key, Mismatch when it was sealed for another one."""
    if not settings.WEBHOOK_KEY_FILE:
        raise Unavailable("This process was given no key of webhooks: only the worker that sends opens secrets.")
    key = X25519PrivateKey.from_private_bytes(base64.b64decode(Path(settings.WEBHOOK_KEY_FILE).read_text()))
    try:
        return _SUITE.decrypt(sealed, key, about.encode()).decode()
    except InvalidTag as error:
        raise Mismatch("The secret was sealed for another key or another webhook. Set it anew.") from error
