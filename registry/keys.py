"""Signing keys as files: made once, private half readable by its owner alone, public half for everybody."""

import os
import secrets
from pathlib import Path

from registry.refusals import Unavailable
from registry.tlog.vkeys import ED25519, Signer, Verifier


def ensure(private: Path, public: Path, name: str, kind: int = ED25519) -> Verifier:
    """Make the key pair of this name and kind unless it is there; return its public half."""
    if not private.exists():
        private.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(private, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(f"{Signer(name, secrets.token_bytes(32), kind)}\n")
    verifier = Signer.parse(private.read_text()).verifier
    public.write_text(f"{verifier}\n")
    return verifier


def verifiers(path: Path) -> list[Verifier]:
    """Read a log's public key, and the one of type ML-DSA-44 beside it (`….mldsa.vkey`) where there is one."""
    second = path.with_suffix(f".mldsa{path.suffix}")
    return [verifier(path), *([verifier(second)] if second.exists() else [])]


def verifier(path: Path) -> Verifier:
    """Read a public key."""
    try:
        return Verifier.parse(path.read_text().strip())
    except OSError as error:
        raise Unavailable(f"The public key {path.name} cannot be read. Run `manage.py setup_platform`.") from error


def signers(path: Path) -> list[Signer]:
    """Read the private key of a log, and the one of type ML-DSA-44 beside it (`….mldsa.key`) where there is one."""
    second = path.with_suffix(f".mldsa{path.suffix}")
    return [signer(str(path)), *([signer(str(second))] if second.exists() else [])]


def signer(path: str) -> Signer:
    """Read the private key that this process was given."""
    if not path:
        raise Unavailable("This process was given no signing key: only the sequencer and the governor sign.")
    return Signer.parse(Path(path).read_text())
