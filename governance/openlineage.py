"""The lineage of a version as OpenLineage events: its registration, its checks, its deployments.

Each is a run of a job that read data sets and wrote others, told by a START and a COMPLETE or FAIL event. Source:
https://openlineage.io/spec/2-0-2/OpenLineage.json and the facets beside it. Data sets and versions are data sets of the
platform's namespace; a version is one whose schema is its input schema.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from monitoring import verdicts
from monitoring.models import CheckRun
from registry.models import Dataset, ModelVersion
from registry.versions import data_of, logged_data
from scoring.models import Deployment

_SPEC = "https://openlineage.io/spec"
EVENT = f"{_SPEC}/2-0-2/OpenLineage.json#/$defs/RunEvent"
CUSTOM = f"{_SPEC}/2-0-2/OpenLineage.json#/$defs/RunFacet"
FACETS = {
    "schema": "1-2-0/SchemaDatasetFacet",
    "dataSource": "1-0-1/DatasourceDatasetFacet",
    "version": "1-0-1/DatasetVersionDatasetFacet",
    "sourceCodeLocation": "1-1-0/SourceCodeLocationJobFacet",
    "jobType": "2-0-4/JobTypeJobFacet",
    "parent": "1-2-0/ParentRunFacet",
}
MOST_DEPLOYMENTS = 100


@dataclass(frozen=True)
class _Teller:
    """Who tells: the platform at its public address."""

    namespace: str

    def facet(self, name: str, /, **told: Any) -> dict[str, Any]:
        """Return a standard facet by its name."""
        place = FACETS[name]
        return {"_producer": self.namespace, "_schemaURL": f"{_SPEC}/facets/{place}.json#/$defs/{place[6:]}", **told}

    def data(self, name: str, digest: str, fields: Sequence[Mapping[str, str]], address: str) -> dict[str, Any]:
        """Return a data set of this platform with its facets."""
        facets = {
            "version": self.facet("version", datasetVersion=digest),
            "dataSource": self.facet("dataSource", name=self.namespace, uri=f"{self.namespace}{address}"),
            **({"schema": self.facet("schema", fields=list(fields))} if fields else {}),
        }
        return {"namespace": self.namespace, "name": name, "facets": facets}

    def dataset(self, dataset: Dataset) -> dict[str, Any]:
        """Return a registered data set: named by its digest, since names repeat."""
        fields = [{"name": column["name"], "type": column["kind"]} for column in dataset.columns]
        name = f"datasets/{dataset.digest}"
        return self.data(name, dataset.digest, fields, f"/api/v1/datasets/{dataset.digest}")

    def version(self, version: ModelVersion) -> dict[str, Any]:
        """Return a version: the model is the data set, the digest its version."""
        fields = [{"name": column["name"], "type": column["kind"]} for column in version.schema]
        name = f"models/{version.model.name}"
        return self.data(name, version.digest, fields, f"/models/{version.model.name}/versions/{version.number}")

    def logged(self, item: Mapping[str, Any]) -> dict[str, Any]:
        """Return a data set that a run logged and nobody registered here."""
        fields = [{"name": column["name"], "type": column.get("type", "")} for column in item.get("columns", ())]
        told = {"schema": self.facet("schema", fields=fields)} if fields else {}
        if digest := item.get("digest"):
            told["version"] = self.facet("version", datasetVersion=digest)
        return {"namespace": f"{self.namespace}/mlflow", "name": str(item.get("name") or "unnamed"), "facets": told}


@dataclass(frozen=True)
class _Run:
    """A run of a job."""

    id: UUID
    job: str
    kind: str
    start: datetime
    end: datetime | None
    failed: bool
    inputs: Sequence[dict[str, Any]]
    outputs: Sequence[dict[str, Any]]
    run_facets: Mapping[str, Any]
    job_facets: Mapping[str, Any]


def events(version: ModelVersion, namespace: str) -> list[dict[str, Any]]:
    """Return the RunEvents of a version in the order of their times. `namespace`: the platform's public address."""
    teller = _Teller(namespace)
    runs = [_registration(version, teller), *_checks(version, teller), *_deployments(version, teller)]
    found = [event for run in runs for event in _events(run, teller)]
    return sorted(found, key=lambda event: event["eventTime"])


def _events(run: _Run, teller: _Teller) -> Iterator[dict[str, Any]]:
    ends = [("START", run.start)]
    if run.end:
        ends.append(("FAIL" if run.failed else "COMPLETE", run.end))
    job_type = teller.facet("jobType", processingType="BATCH", integration="COUNTERSIGN", jobType=run.kind)
    for state, at in ends:
        yield {
            "eventType": state,
            "eventTime": at.isoformat(),
            "run": {"runId": str(run.id), "facets": dict(run.run_facets)},
            "job": {
                "namespace": teller.namespace,
                "name": run.job,
                "facets": {"jobType": job_type, **run.job_facets},
            },
            "inputs": list(run.inputs),
            "outputs": list(run.outputs) if state == "COMPLETE" else [],
            "producer": teller.namespace,
            "schemaURL": EVENT,
        }


def _registration(version: ModelVersion, teller: _Teller) -> _Run:
    """Return the registration: it read the version's data, in the run that logged it, and wrote the version."""
    data = {dataset.digest: dataset for dataset in data_of(version).values()}
    return _Run(
        id=version.pk,
        job=f"{version.model.name}.register",
        kind="REGISTRATION",
        start=version.registered_at,
        end=version.registered_at,
        failed=False,
        inputs=[*map(teller.dataset, data.values()), *map(teller.logged, logged_data(version))],
        outputs=[teller.version(version)],
        run_facets={**_parent(version, teller), "countersign_version": _told(version, teller)},
        job_facets=_code(version, teller),
    )


def _told(version: ModelVersion, teller: _Teller) -> dict[str, Any]:
    """Return as a custom facet what no standard one has a place for."""
    names = ("run_id", "code_commit", "code_dirty", "environment_digest", "upstream", "parent")
    told = {name: version.lineage[name] for name in names if version.lineage.get(name)}
    return {"_producer": teller.namespace, "_schemaURL": CUSTOM, "number": version.number, **told}


def _parent(version: ModelVersion, teller: _Teller) -> dict[str, Any]:
    """Return the run of MLflow that logged the version, where it has an identifier of the kind asked for."""
    try:
        run = UUID(hex=version.lineage.get("run_id", ""))
    except ValueError:
        return {}
    job = {"namespace": f"{teller.namespace}/mlflow", "name": f"{version.model.name}.train"}
    return {"parent": teller.facet("parent", run={"runId": str(run)}, job=job)}


def _code(version: ModelVersion, teller: _Teller) -> dict[str, Any]:
    url, commit = version.lineage.get("code_url"), version.lineage.get("code_commit")
    if not (url and commit):
        return {}
    return {"sourceCodeLocation": teller.facet("sourceCodeLocation", type="git", url=url, version=commit)}


def _checks(version: ModelVersion, teller: _Teller) -> Iterator[_Run]:
    rows = (
        CheckRun.objects.filter(version=version).select_related("result", "policy").order_by("opened_at", "check_name")
    )
    read = {dataset.digest: dataset for role, dataset in data_of(version).items() if role != "training"}
    for row in rows.defer("result__evidence", "result__measurements", "policy__rules"):
        result = getattr(row, "result", None)
        facet = {"_producer": teller.namespace, "_schemaURL": CUSTOM, "policy": row.policy.digest}
        yield _Run(
            id=row.pk,
            job=f"{version.model.name}.check.{row.check_name}",
            kind="CHECK",
            start=row.opened_at,
            end=result.performed_at if result else None,
            failed=bool(result and result.verdict == verdicts.ERROR),
            inputs=[teller.version(version), *map(teller.dataset, read.values())],
            outputs=[],
            run_facets={"countersign_check": {**facet, **({"verdict": result.verdict} if result else {})}},
            job_facets={},
        )


def _deployments(version: ModelVersion, teller: _Teller) -> Iterator[_Run]:
    rows = Deployment.objects.filter(package__version=version).select_related("package").order_by("-pk")
    for row in rows.defer("warrant")[:MOST_DEPLOYMENTS]:
        facet = {"_producer": teller.namespace, "_schemaURL": CUSTOM}
        served = {"namespace": teller.namespace, "name": f"models/{version.model.name}/serving", "facets": {}}
        yield _Run(
            id=row.order,
            job=f"{version.model.name}.deploy",
            kind="DEPLOYMENT",
            start=row.made_at,
            end=row.made_at,
            failed=False,
            inputs=[teller.version(version)],
            outputs=[served],
            run_facets={
                "countersign_deployment": {**facet, "package": row.package.digest, "request": str(row.request)}
            },
            job_facets={},
        )
