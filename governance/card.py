"""The model card of a version: everything known, gathered once, and what is not evidenced. Only the prose is typed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from governance import inventory
from governance.lifecycle import newest_request
from governance.models import Signature
from monitoring import demands, pictures, runs
from monitoring.models import CheckResult
from registry import artifacts, policies, prose, versions, windows
from registry.models import Dataset, ModelVersion, Policy, Prose
from registry.refusals import Refusal
from scoring.models import Deployment

LONGEST_ENVIRONMENT = 256 * 1024  # bytes of an environment's lock that are read


@dataclass(frozen=True)
class Measured:
    """What one check measured, with the limits of the policy beside it."""

    name: str
    title: str
    verdict: str
    rows: list[pictures.Row]


@dataclass(frozen=True)
class Card:
    """A version with all that is known of it."""

    version: ModelVersion
    policy: Policy
    row: inventory.Row
    prose: Prose | None
    checks: list[Measured]
    groups: Mapping[str, Any]
    data: list[tuple[str, Dataset | None, str]]
    logged: Sequence[Mapping[str, Any]]
    signatures: list[Signature]
    deployments: list[Deployment]
    environment: list[str]

    @property
    def parts(self) -> list[tuple[str, str, str]]:
        """The typed parts: name, title, text."""
        return [(name, title, getattr(self.prose, name, "")) for name, title in prose.PARTS.items()]

    @property
    def carried(self) -> bool:
        """Whether the prose was written for an earlier version."""
        return bool(self.prose and self.prose.version_id != self.version.pk)

    @property
    def missing(self) -> list[str]:
        """What a reader of a card asks for and nothing here evidences."""
        lineage = self.version.lineage
        known = {
            **{title.lower(): text.strip() for _, title, text in self.parts},
            **{f"{role} data": dataset for role, dataset, _ in self.data},
            "run": lineage.get("run_id"),
            "code commit": lineage.get("code_commit"),
            "environment": lineage.get("environment_digest"),
            "checks": self.checks,
            "groups": self.groups,
            "approval": self.signatures,
        }
        own = ("approved uses", "limits")  # of the card already, under its own names
        return [name for name, found in known.items() if not found] + [n for n in self.row.missing if n not in own]


def of(version: ModelVersion, today: Any) -> Card:
    """Gather the card of a version as it stands."""
    policy = policies.in_force(version.model.tier)
    results = runs.results(version, policy)
    newest = newest_request(version)
    signed = newest.signatures.select_related("signer").order_by("signed_at") if newest else ()
    deployed = Deployment.objects.filter(package__version=version).select_related("made_by").defer("warrant")
    return Card(
        version=version,
        policy=policy,
        row=inventory.rows([version.model], today)[0],
        prose=prose.of(version),
        checks=[_measured(name, result, policy) for name, result in sorted(results.items())],
        groups=results["bias"].evidence.get("groups", {}) if "bias" in results else {},
        data=data_with_windows(version),
        logged=versions.logged_data(version),
        signatures=list(signed),
        deployments=list(deployed.order_by("-pk")[:20]),
        environment=environment(version),
    )


def data_with_windows(version: ModelVersion) -> list[tuple[str, Dataset | None, str]]:
    """Return for each role its data set and the time window of its rows, in words."""
    held = versions.data_of(version)
    known = windows.told(held.values())
    found = {role: known.get(dataset.digest, "") for role, dataset in held.items()}
    return [(role, held.get(role), found.get(role, "")) for role in versions.DATA_ROLES]


def _measured(name: str, result: CheckResult, policy: Policy) -> Measured:
    rows = pictures.rows(result.measurements, (), demands.limits(policy.rules, name))
    return Measured(name, pictures.name_of(name), result.verdict, rows)


def environment(version: ModelVersion) -> list[str]:
    """Return the requirements of a version's environment lock, one a line; none when its bytes cannot be read."""
    digest = version.lineage.get("environment_digest")
    sizes = {file["sha256"]: (path, file["size"]) for path, file in version.artifact.items()}
    path, size = sizes.get(digest, ("", 0))
    if not path.endswith(".txt") or size > LONGEST_ENVIRONMENT:
        return []
    try:
        text = artifacts.get(str(digest)).decode(errors="replace")
    except Refusal:
        return []
    lines = (line.split("#")[0].strip() for line in text.splitlines())
    return [line for line in lines if line and not line.startswith("-")]
