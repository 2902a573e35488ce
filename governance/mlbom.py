"""The model card as a CycloneDX 1.6 ML-BOM: the model, its files, data sets and environment as components.

`cyclonedx-python-lib` writes the bill of materials. It does not model `modelCard` (11.12): that is put in by hand, as
https://cyclonedx.org/docs/1.6/json/#metadata_component_modelCard says, and validated with its schema in the tests.
"""

import json
import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from cyclonedx.model import HashAlgorithm, HashType, Property
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.model.contact import OrganizationalContact
from cyclonedx.output import make_outputter
from cyclonedx.schema import OutputFormat, SchemaVersion
from packageurl import PackageURL

from governance.card import Card
from monitoring import verdicts

_REQUIREMENT = re.compile(r"(?P<name>[A-Za-z0-9][\w.-]*)\s*(?:\[[^\]]*\])?\s*(?:===?\s*(?P<version>[^\s;,\\]+))?")


def document(card: Card, now: datetime) -> dict[str, Any]:
    """Return the bill of materials of a version with its model card, as JSON values."""
    model = _model(card)
    parts = [*_files(card), *_data(card), *_environment(card)]
    bom = Bom(components=parts)
    bom.metadata.component = model
    bom.metadata.timestamp = now
    bom.metadata.tools.components.add(Component(name="Countersign", type=ComponentType.APPLICATION))
    bom.register_dependency(model, parts)
    found: dict[str, Any] = json.loads(make_outputter(bom, OutputFormat.JSON, SchemaVersion.V1_6).output_as_string())
    found["metadata"]["component"]["modelCard"] = model_card(card)
    return found


def _sha256(digest: str) -> list[HashType]:
    return [HashType(alg=HashAlgorithm.SHA_256, content=digest)]


def _model(card: Card) -> Component:
    version, lineage = card.version, card.version.lineage
    said = {
        "countersign:digest": version.digest,
        "countersign:tier": str(version.model.tier),
        "countersign:run": lineage.get("run_id", ""),
        "countersign:code-commit": lineage.get("code_commit", ""),
        "countersign:environment-digest": lineage.get("environment_digest", ""),
    }
    return Component(
        bom_ref="model",
        type=ComponentType.MACHINE_LEARNING_MODEL,
        name=version.model.name,
        version=str(version.number),
        description=version.description or card.row.description or None,
        authors=[OrganizationalContact(name=version.registered_by.get_full_name() or version.registered_by.username)],
        properties=[Property(name=name, value=value) for name, value in said.items() if value],
    )


def _files(card: Card) -> Iterator[Component]:
    for path, file in card.version.artifact.items():
        yield Component(bom_ref=f"file:{path}", type=ComponentType.FILE, name=path, hashes=_sha256(file["sha256"]))


def _data(card: Card) -> Iterator[Component]:
    for dataset, window in {dataset.digest: (dataset, window) for _, dataset, window in card.data if dataset}.values():
        yield Component(
            bom_ref=f"data:{dataset.digest}",
            type=ComponentType.DATA,
            name=dataset.name,
            version=dataset.digest,
            description=", ".join(filter(None, (f"{dataset.rows} rows", window))),
            hashes=_sha256(dataset.digest),
        )


def _environment(card: Card) -> Iterator[Component]:
    """Yield each requirement of the environment's lock; one without a version names none."""
    known = {}
    for line in card.environment:
        if found := _REQUIREMENT.match(line):
            known[re.sub(r"[-_.]+", "-", found["name"]).lower()] = found["version"]
    for name, version in known.items():
        purl = PackageURL(type="pypi", name=name, version=version) if version else None
        yield Component(bom_ref=f"pypi:{name}", type=ComponentType.LIBRARY, name=name, version=version, purl=purl)


def model_card(card: Card) -> dict[str, Any]:
    """Return the `modelCard` object; what is not evidenced is named in its properties, never left to be guessed."""
    said = {name: text for name, _, text in card.parts if text}
    properties = [
        *({"name": "countersign:not-evidenced", "value": item} for item in card.missing),
        *({"name": f"countersign:verdict:{check.name}", "value": check.verdict} for check in card.checks),
        *_approvals(card),
    ]
    if text := said.get("out_of_scope"):
        properties.append({"name": "countersign:out-of-scope-use", "value": text})
    return {
        "modelParameters": _parameters(card),
        "quantitativeAnalysis": {"performanceMetrics": [*_measured(card), *_claimed(card)]},
        "considerations": {
            "useCases": [said["intended_use"]] if "intended_use" in said else [],
            "technicalLimitations": [said["limits"]] if "limits" in said else [],
            "ethicalConsiderations": [{"name": said["ethics"]}] if "ethics" in said else [],
            "fairnessAssessments": list(_groups(card)),
        },
        "properties": properties,
    }


def _approvals(card: Card) -> Iterator[dict[str, str]]:
    for row in card.signatures:
        who = row.signer.get_full_name() or row.signer.username
        told = f"{row.outcome} by {who} as {row.role} at {row.signed_at.isoformat()}: {row.meaning}"
        yield {"name": "countersign:signature", "value": told}


def _parameters(card: Card) -> dict[str, Any]:
    version = card.version
    digests = dict.fromkeys(dataset.digest for _, dataset, _ in card.data if dataset)
    logged = [
        {
            "type": "dataset",
            "name": str(item.get("name", "unnamed")),
            "description": "logged by the run, not registered",
        }
        for item in card.logged
    ]
    return {
        "approach": {"type": "supervised"},
        "task": "classification",
        "modelArchitecture": version.flavour,
        "datasets": [*({"ref": f"data:{digest}"} for digest in digests), *logged],
        "inputs": [{"format": f"{column['name']}: {column['kind']}"} for column in version.schema],
        "outputs": [{"format": "score between 0 and 1"}],
    }


def _measured(card: Card) -> Iterator[dict[str, Any]]:
    for check in card.checks:
        for row in check.rows:
            if row.value is not None and check.verdict != verdicts.ERROR:
                yield {"type": row.name, "value": repr(row.value), "slice": check.title}


def _claimed(card: Card) -> Iterator[dict[str, Any]]:
    for name, value in card.version.metrics.items():
        yield {"type": name, "value": repr(value), "slice": "as claimed by the author"}


def _groups(card: Card) -> Iterator[dict[str, str]]:
    """Yield what was measured of each group: rates, whose harm or benefit a reader judges."""
    for attribute, rows in card.groups.items():
        for row in rows:
            rates = {name: row.get(name) for name in ("flag_rate", "fpr", "fnr")}
            told = ", ".join(f"{name} {value:.4f}" for name, value in rates.items() if value is not None)
            yield {"groupAtRisk": f"{attribute}: {row['group']}", "harms": f"measured over {row['n']:g} rows: {told}"}
