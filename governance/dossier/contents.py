"""Collect what a dossier holds: records by the digests that the ledger names, the entries, the keys, the verifier."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from governance import approvals
from governance.models import ApprovalRequest, Signature
from monitoring import runs
from monitoring.models import CheckResult
from registry import canonical, datasets, ledger, packages, people, policies, proofs, versions
from registry.ledger import LOGS
from registry.models import LedgerEntry, ModelVersion, Package, Policy, User
from scoring import deployments, outcomes
from scoring.models import Decision, Deployment, Outcome

README = """This archive is a Countersign dossier: {title}.

    python3 verify.py THIS_FILE.zip --key "$(cat governance.vkey)" …

needs Python 3.8 and nothing else. Get the public keys from somebody other than the operator and pass them with
--key; the copies under keys/ only show that the archive agrees with itself.

records/    what was registered, judged, requested and signed; a ledger entry names the SHA-256 of each
entries/    the ledger entries, byte for byte; proofs/ shows each one's place in the log (c2sp.org/tlog-proof@v1)
warrants/   the governor's signed statements that let servers load a package (DSSE, in-toto)
decision/   one decision's inputs, answer and outcomes with the salts of their commitments: personal data, handle
            as such
"""


@dataclass
class Contents:
    """Files by path, and the entries whose proofs are added later."""

    title: str
    files: dict[str, bytes] = field(default_factory=dict)
    entries: dict[str, LedgerEntry] = field(default_factory=dict)

    def record(self, kind: str, value: Any) -> None:
        """Add a record under its digest."""
        self.files[f"records/{kind}/{canonical.digest(value)}.json"] = canonical.dump(value)

    def enter(self, entries: Iterable[LedgerEntry]) -> None:
        """Add ledger entries."""
        for entry in entries:
            path = f"{entry.log}/{entry.uuid}"
            self.entries[path] = entry
            self.files[f"entries/{path}.json"] = bytes(entry.bytes)


def of_version(version: ModelVersion) -> Contents:
    """Collect everything about a version."""
    contents = Contents(f"{version}")
    _add_version(contents, version)
    return _finish(contents)


def of_decision(decision: Decision) -> Contents:
    """Collect a decision and everything about the version that made it."""
    version = decision.deployment.package.version
    contents = Contents(f"decision {decision.id} by {version}")
    _add_version(contents, version)
    entries = list(ledger.about([f"decision:{decision.id}"]))
    contents.enter(entries)
    parts = {"inputs": (decision.inputs, decision.inputs_salt), "answer": (decision.answer, decision.answer_salt)}
    for outcome in _entered(decision, entries):
        parts[f"outcome/{outcome.id}"] = (outcomes.said(outcome), outcome.salt)
    for part, (data, _) in parts.items():
        contents.files[f"decision/{part}.json"] = bytes(data)
    contents.files["decision/salts.json"] = canonical.dump(
        {part: bytes(salt).hex() for part, (_, salt) in parts.items()}
    )
    return _finish(contents)


def _entered(decision: Decision, entries: list[LedgerEntry]) -> list[Outcome]:
    """Return the outcomes that these entries commit to: one recorded a moment later belongs to a later dossier."""
    said = {ledger.facts_of(entry).get("outcome") for entry in entries}
    return [outcome for outcome in decision.outcomes.all() if outcomes.commitment(outcome) in said]


def _add_version(contents: Contents, version: ModelVersion) -> None:
    contents.record("version", versions.manifest(version))
    contents.enter(ledger.about([f"version:{version.id}"]))
    contents.enter(ledger.about([f"model:{version.model_id}"]).filter(event=ledger.Event.MODEL_REGISTERED))
    for text in filter(None, (version.model.description, version.description)):
        contents.record("description", text)
    for tag in version.tags.all():
        contents.record("tag", versions.tag_record(tag))
    _add_datasets(contents, version)
    made = Package.objects.filter(version=version).select_related("policy", "version")
    judged = Policy.objects.filter(pk__in=[p.policy_id for p in made] + _judging(version))
    for policy in judged:
        contents.record("policy", policies.record(policy))
    contents.enter(ledger.about(f"policy:{policy.digest}" for policy in judged))
    for package in made:
        contents.record("package", packages.record(package))
    for result in CheckResult.objects.filter(run__version=version).select_related("run__version", "run__policy"):
        contents.record("result", runs.record(result))
    for request in ApprovalRequest.objects.filter(package__version=version).select_related(
        "package__policy", "requested_by"
    ):
        contents.record("request", approvals.record(request))
    for signature in Signature.objects.filter(request__package__version=version).select_related("signer"):
        contents.record("signature", approvals.signature_record(signature))
    _add_deployments(contents, version)


def _add_datasets(contents: Contents, version: ModelVersion) -> None:
    found = {dataset for role in versions.DATA_ROLES if (dataset := getattr(version, role))}
    for dataset in found:
        contents.record("dataset", datasets.record(dataset))
    contents.enter(ledger.about(f"dataset:{dataset.digest}" for dataset in found))


def _judging(version: ModelVersion) -> list[Any]:
    return list(version.check_runs.values_list("policy_id", flat=True))


def _add_deployments(contents: Contents, version: ModelVersion) -> None:
    for deployment in Deployment.objects.filter(package__version=version):
        contents.files[f"warrants/{deployment.pk}.json"] = deployment.warrant.encode()


def _finish(contents: Contents) -> Contents:
    for log in LOGS:
        contents.files[f"keys/{log}.vkey"] = f"{proofs.verifier(log)}\n".encode()
    contents.files["keys/warrants.vkey"] = f"{deployments.warrant_key()}\n".encode()
    contents.files["people.json"] = canonical.dump(_people(contents))
    contents.files["verify.py"] = Path(__file__).with_name("verify.py").read_bytes()
    contents.files["README.txt"] = README.format(title=contents.title).encode()
    return contents


def _people(contents: Contents) -> dict[str, Any]:
    """Say who stands behind the stable names that the entries use."""
    actors = {
        entry.actor.removeprefix("user:") for entry in contents.entries.values() if entry.actor.startswith("user:")
    }
    return {
        user.actor: {"name": user.get_full_name() or user.username, "roles": people.roles_of(user)}
        for user in User.objects.filter(pk__in=actors)
    }
