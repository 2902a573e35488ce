"""Who signed a model's files: OpenSSF model signing (a Sigstore bundle over the digests of every file), offline."""

import base64
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from cryptography import x509
from model_signing import verifying

from monitoring.measurement import Measured, Measurement


def measure(
    files: Mapping[str, bytes], signature: str, *, keys: Mapping[str, str], authorities: Mapping[str, str]
) -> Measured:
    """Measure whether the file named `signature` is a valid signature over all other files, by somebody named.

    `keys`: name → public key (PEM, NIST curves); `authorities`: name → certificate (PEM) to which a signer's leads. A
    signature is wrong when somebody is named and none of them gave it, or when it leaves a file out.
    """
    if signature not in files:
        return _measured(len(files), present=False, valid=False, wrong=False, evidence={})
    signed, refused = _signer(files, signature, keys, authorities)
    unsigned = _left_out(files, signature) if signed else []
    valid = bool(signed) and not unsigned
    evidence = {
        "signed_by": signed,
        "certificate": _certificate(files[signature]) if signed else "",
        "unsigned": unsigned[:20],
        "refused": refused,
    }
    wrong = not valid and bool(keys or authorities)
    return _measured(len(files), present=True, valid=valid, wrong=wrong, evidence=evidence)


def _measured(files: int, *, present: bool, valid: bool, wrong: bool, evidence: dict[str, Any]) -> Measured:
    found = {"signature_present": present, "signature_valid": valid, "signature_wrong": wrong}
    return Measured([Measurement(name, float(value), files) for name, value in found.items()], evidence)


def _signer(
    files: Mapping[str, bytes], signature: str, keys: Mapping[str, str], authorities: Mapping[str, str]
) -> tuple[str, dict[str, str]]:
    """Return who of those named signed (nobody: an empty text), and why the signature is none of the others'."""
    refused: dict[str, str] = {}
    with TemporaryDirectory() as folder:
        place = Path(folder)
        _write(files, signature, place)
        for name, verifier in _verifiers(keys, authorities, place / "trusted.pem"):
            try:
                verifier().verify(place / "model", place / "signature")
            except Exception as error:  # noqa: BLE001 - the library raises whatever its parts raise
                refused[name] = f"{type(error).__name__}: {error}"[:200]
            else:
                return name, refused
    return "", refused


def _write(files: Mapping[str, bytes], signature: str, place: Path) -> None:
    """Lay the files out as the library reads them, the signature beside them."""
    model = (place / "model").resolve()
    for path, data in files.items():
        target = place / "signature" if path == signature else (model / path).resolve()
        if path != signature and not target.is_relative_to(model):
            raise ValueError(f"{path!r} is not the name of a file within a model.")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)


def _verifiers(keys: Mapping[str, str], authorities: Mapping[str, str], file: Path) -> Iterator[tuple[str, Any]]:
    """Yield each name with what makes its verifier, whose key or certificate lies in the file until the next."""
    for name, pem in keys.items():
        file.write_text(pem)
        yield name, lambda: verifying.Config().use_elliptic_key_verifier(public_key=file)
    for name, pem in authorities.items():
        file.write_text(pem)
        yield name, lambda: verifying.Config().use_certificate_verifier(certificate_chain=[file])


def _left_out(files: Mapping[str, bytes], signature: str) -> list[str]:
    """Return the files that a verified signature says nothing of: its signer may have told the library to ignore some.

    What is signed is an in-toto statement (predicate https://model_signing/signature/v1.0); in its form `shards`,
    resources are named path:start:end.
    """
    said = json.loads(base64.b64decode(json.loads(files[signature])["dsseEnvelope"]["payload"])).get("predicate", {})
    named = [resource["name"] for resource in said.get("resources", ())]
    if said.get("serialization", {}).get("method") == "shards":
        named = [name.rsplit(":", 2)[0] for name in named]
    return sorted(set(files) - set(named) - {signature})


def _certificate(bundle: bytes) -> str:
    """Return the subject of the certificate that a verified bundle was signed under, if it was under one."""
    chain = json.loads(bundle)["verificationMaterial"].get("x509CertificateChain", {}).get("certificates", ())
    found = [x509.load_der_x509_certificate(base64.b64decode(item["rawBytes"])) for item in chain[:1]]
    return found[0].subject.rfc4514_string() if found else ""
