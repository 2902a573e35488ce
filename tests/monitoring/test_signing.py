"""An artifact's OpenSSF signature: who gave it, what it covers, and that no policy lets a wrong one pass."""

import base64
import json
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from django.urls import reverse
from model_signing import hashing
from model_signing import signing as model_signing

from governance import lifecycle
from monitoring import performing, runs
from monitoring.checks import signing
from registry import policies
from registry.models import Policy
from registry.refusals import Invalid, NotAllowed
from tests import builders

SIGNATURE = "model.sig"
FILES = {"MLmodel": b"flavors: {}", "model.lgb": b"tree", "data/note.txt": b"of a folder"}
REQUIRED = {"signature_valid": {"fail_below": 1}}


def a_key():
    return ec.generate_private_key(ec.SECP256R1())


def private(key):
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def public(key):
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def sign(files, key, *, certificate=None, authority=None, **hashed):
    """Sign files as the stock tool does; return them with the signature among them."""
    with TemporaryDirectory() as folder:
        place = Path(folder)
        for path, data in files.items():
            (place / "model" / path).parent.mkdir(parents=True, exist_ok=True)
            (place / "model" / path).write_bytes(data)
        (place / "key.pem").write_bytes(private(key))
        config = model_signing.Config().set_hashing_config(hashing.Config(**hashed))
        config.use_elliptic_key_signer(private_key=place / "key.pem")
        if certificate:
            (place / "certificate.pem").write_bytes(certificate.public_bytes(Encoding.PEM))
            (place / "authority.pem").write_bytes(authority.public_bytes(Encoding.PEM))
            config.use_certificate_signer(
                private_key=place / "key.pem",
                signing_certificate=place / "certificate.pem",
                certificate_chain=[place / "authority.pem"],
            )
        config.sign(place / "model", place / SIGNATURE)
        return {**files, SIGNATURE: (place / SIGNATURE).read_bytes()}


def issued(name, key, issuer=None, issuer_key=None):
    """Return a certificate: an authority's own, or one issued to a signer."""
    called = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    usage = dict.fromkeys(
        (
            *("content_commitment", "key_encipherment", "data_encipherment", "key_agreement"),
            *("encipher_only", "decipher_only"),
        ),
        False,
    )
    made = (
        x509.CertificateBuilder()
        .subject_name(called)
        .issuer_name(issuer.subject if issuer else called)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(builders.now() - timedelta(days=1))
        .not_valid_after(builders.now() + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
        .add_extension(
            x509.KeyUsage(digital_signature=True, key_cert_sign=issuer is None, crl_sign=issuer is None, **usage), True
        )
    )
    return made.sign(issuer_key or key, hashes.SHA256())


def found(files, keys=None, authorities=None):
    """Return the three numbers and the evidence."""
    measured = signing.measure(files, SIGNATURE, keys=keys or {}, authorities=authorities or {})
    numbers = {item.name.removeprefix("signature_"): item.value for item in measured.measurements}
    return numbers, measured.evidence


GOOD = {"present": 1, "valid": 1, "wrong": 0}
WRONG = {"present": 1, "valid": 0, "wrong": 1}


@pytest.fixture(scope="module")
def key():
    return a_key()


@pytest.fixture(scope="module")
def signed(key):
    return sign(FILES, key)


def test_a_signature_by_a_named_key_is_valid_and_says_whose(key, signed):
    numbers, evidence = found(signed, {"stranger": public(a_key()), "model team": public(key)})
    assert numbers == GOOD
    assert evidence["signed_by"] == "model team"
    assert list(evidence["refused"]) == ["stranger"]


def test_no_signature_is_neither_valid_nor_wrong(key):
    assert found(FILES, {"model team": public(key)}) == ({"present": 0, "valid": 0, "wrong": 0}, {})


def test_a_signature_by_somebody_else_is_wrong_unless_nobody_is_named(signed):
    numbers, evidence = found(signed, {"stranger": public(a_key())})
    assert (numbers, evidence["signed_by"]) == (WRONG, "")
    assert found(signed)[0] == {"present": 1, "valid": 0, "wrong": 0}


@pytest.mark.parametrize("path", FILES)
def test_every_file_changed_added_or_taken_away_is_found(key, signed, path):
    named = {"model team": public(key)}
    for changed in (
        {**signed, path: signed[path] + b" "},
        {name: data for name, data in signed.items() if name != path},
        {**signed, f"{path}.more": b""},
    ):
        assert found(changed, named)[0] == WRONG


def test_a_signature_changed_anywhere_is_wrong(key, signed):
    named, bundle = {"model team": public(key)}, json.loads(signed[SIGNATURE])
    payload = json.loads(base64.b64decode(bundle["dsseEnvelope"]["payload"]))
    payload["predicate"]["resources"][0]["digest"] = "00" * 32
    forged = json.loads(json.dumps(bundle))
    forged["dsseEnvelope"]["payload"] = base64.b64encode(json.dumps(payload).encode()).decode()
    moved = json.loads(json.dumps(bundle))
    moved["dsseEnvelope"]["signatures"][0]["sig"] = base64.b64encode(
        a_key().sign(b"something else", ec.ECDSA(hashes.SHA256()))
    ).decode()
    for text in (json.dumps(forged), json.dumps(moved), "{}", "[]", "", "\0", '{"verificationMaterial": 5}'):
        numbers, evidence = found({**signed, SIGNATURE: text.encode()}, named)
        assert numbers == WRONG, text[:40]
        assert evidence["refused"]["model team"]


def test_a_signature_that_was_told_to_ignore_a_file_does_not_count(key):
    """The signer chooses what the library ignores, and writes it into what is signed."""
    files = sign(FILES, key)
    with TemporaryDirectory() as folder:
        place = Path(folder)
        for name, data in FILES.items():
            (place / "model" / name).parent.mkdir(parents=True, exist_ok=True)
            (place / "model" / name).write_bytes(data)
        (place / "key.pem").write_bytes(private(key))
        config = model_signing.Config().use_elliptic_key_signer(private_key=place / "key.pem")
        config.set_hashing_config(hashing.Config().set_ignored_paths(paths=["model.lgb"]))
        config.sign(place / "model", place / SIGNATURE)
        files[SIGNATURE] = (place / SIGNATURE).read_bytes()
    numbers, evidence = found({**files, "model.lgb": b"another tree"}, {"model team": public(key)})
    assert numbers == WRONG
    assert evidence["unsigned"] == ["model.lgb"]


def test_a_file_name_that_leads_out_of_the_model_is_not_written(key, signed, tmp_path):
    with pytest.raises(ValueError, match="not the name of a file within a model"):
        found({**signed, f"../../{tmp_path.name}": b"x"}, {"model team": public(key)})


def test_a_certificate_that_leads_to_a_named_authority_is_valid(key):
    root, stranger = a_key(), a_key()
    authority, other = issued("Bank CA", root), issued("Bank CA", stranger)
    files = sign(FILES, key, certificate=issued("ada", key, authority, root), authority=authority)
    pem = authority.public_bytes(Encoding.PEM).decode()
    numbers, evidence = found(files, authorities={"bank": pem})
    assert numbers == GOOD
    assert (evidence["signed_by"], evidence["certificate"]) == ("bank", "CN=ada")
    assert found({**files, "MLmodel": b"x"}, authorities={"bank": pem})[0] == WRONG
    assert found(files, authorities={"bank": other.public_bytes(Encoding.PEM).decode()})[0] == WRONG


@pytest.fixture
def world(people, key):
    """A policy of one check beside the signature, so that little is measured."""

    def adopt(*, required, named=True):
        checks = {"drift": {"drifted_share": {"fail_above": 1}}} | ({"signing": REQUIRED} if required else {})
        parameters = policies.in_force(1).rules["parameters"]
        trusted = {"keys": {"model team": public(key)}} if named else {}
        return builders.a_policy(people, checks=checks, parameters={**parameters, "signing": trusted})

    return adopt


def judged(version):
    builders.check(version)
    return {name: row.verdict for name, row in runs.results(version, policies.in_force(1)).items()}


def test_a_signed_artifact_is_examined_as_soon_as_it_is_registered_and_its_evidence_is_shown(
    people, world, key, client
):
    world(required=False)
    version = builders.a_version(people.ada, files=sign(builders.model_files(), key))
    assert judged(version) == {"drift": "pass", "signing": "pass"}
    client.force_login(people.grace)
    page = client.get(reverse("version", args=["fraud", 1])).content.decode()
    assert "Signature of the files" in page
    assert "model team" in page
    assert builders.a_champion(people, version)


def test_an_unsigned_artifact_owes_no_signature_unless_the_policy_demands_one(people, world):
    world(required=False)
    version = builders.a_version(people.ada)
    assert judged(version) == {"drift": "pass"}
    assert builders.a_champion(people, version)


@pytest.mark.parametrize("required", [True, False])
def test_a_wrong_signature_blocks_whether_or_not_one_is_demanded(people, world, key, required):
    world(required=required)
    files = sign(builders.model_files(), key) | {"note.txt": b"added afterwards"}
    version = builders.a_version(people.ada, files=files)
    assert lifecycle.facts_of(version).stage == "registered"
    assert judged(version) == {"drift": "pass", "signing": "fail"}
    assert lifecycle.facts_of(version).stage == "blocked"
    with pytest.raises(NotAllowed, match="This version is blocked"):
        builders.a_request(people.ada, version)


def test_where_it_is_demanded_a_version_without_it_cannot_be_approved(people, world, key):
    world(required=True)
    without = builders.a_version(people.ada)
    assert judged(without)["signing"] == "fail"
    with pytest.raises(NotAllowed, match="This version is blocked"):
        builders.a_request(people.ada, without)
    assert judged(builders.a_version(people.ada, files=sign(builders.model_files(), key)))["signing"] == "pass"


def test_nobody_asks_for_approval_before_a_signature_was_examined(people, world, key):
    world(required=False)
    version = builders.a_version(people.ada, files=sign(builders.model_files(), key))
    runs.open_missing(builders.now())
    for run in runs.waiting(builders.now()):
        if run.check_name != "signing":
            performing.perform(run, now=builders.now())
    with pytest.raises(NotAllowed, match="This version is registered"):
        builders.a_request(people.ada, version)


def test_a_policy_that_demands_signatures_of_nobody_approves_nothing(people, world, key):
    world(required=True, named=False)
    version = builders.a_version(people.ada, files=sign(builders.model_files(), key))
    assert judged(version)["signing"] == "insufficient"


@pytest.mark.parametrize(
    "named",
    [
        {"keys": {"ada": "no PEM"}},
        {"keys": {"ada": 5}},
        {"keys": ["x"]},
        {"keys": {"ada": public(ed25519.Ed25519PrivateKey.generate())}},
        {"authorities": {"bank": "no PEM"}},
    ],
)
def test_keys_that_cannot_be_read_enter_no_policy(people, named):
    before = Policy.objects.count()
    with pytest.raises(Invalid, match="cannot be read"):
        builders.a_policy(people, parameters={"signing": named})
    assert Policy.objects.count() == before
