"""What came from what: the graph from data sets and runs over versions to decisions, as nodes and edges.

Each graph is gathered by a fixed handful of queries and bounded: what is left out is counted.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote
from uuid import UUID

from django.db import connection
from django.db.models import Q, QuerySet
from django.urls import reverse

from governance.models import Case, CaseResult
from monitoring.models import CheckRun
from registry.models import Dataset, ModelVersion, Package
from registry.templatetags.display import words
from registry.versions import DATA_ROLES, data_of, logged_data
from scoring.models import Decision, Deployment

MOST_VERSIONS, MOST_DEPLOYMENTS, MOST_CASES, MOST_UPSTREAM = 20, 40, 40, 20
COUNTED = 100_000  # decisions of one deployment; beyond it is "more than"
# From left to right: what it was made from, itself, what was measured and packaged, what served, what came of it.
LAYERS = {
    **dict.fromkeys(("dataset", "logged data", "run", "upstream", "origin"), 0),
    "version": 1,
    **dict.fromkeys(("checks", "package"), 2),
    "deployment": 3,
    **dict.fromkeys(("decisions", "decision", "case"), 4),
    "successor": 5,
}
_COUNTS = """
SELECT d.id, (SELECT count(*) FROM (SELECT 1 FROM scoring_decision s WHERE s.deployment_id = d.id LIMIT %s) AS c)
FROM scoring_deployment d WHERE d.id = ANY (%s)
"""


@dataclass(frozen=True)
class Node:
    """A thing: `kind` as in LAYERS; `facts` say more of it to programs."""

    id: str
    kind: str
    label: str
    detail: str
    url: str
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def layer(self) -> int:
        """How far to the right it stands."""
        return LAYERS[self.kind]


@dataclass(frozen=True)
class Edge:
    """Something passed from one thing to another."""

    source: str
    target: str
    label: str


@dataclass
class Graph:
    """Nodes by identifier in the order they were found, edges between them, and how many things were left out."""

    title: str
    nodes: dict[str, Node] = field(default_factory=dict)
    edges: list[Edge] = field(default_factory=list)
    left_out: int = 0

    def add(self, node: Node) -> str:
        """Add a node; one that is there already stays as it is."""
        return self.nodes.setdefault(node.id, node).id

    def join(self, source: str, target: str, label: str) -> None:
        """Add an edge between two nodes that are there, once."""
        edge = Edge(source, target, label)
        if source in self.nodes and target in self.nodes and edge not in self.edges:
            self.edges.append(edge)


def of_version(version: ModelVersion) -> Graph:
    """Return where a version came from and what came of it."""
    graph = Graph(f"Lineage of {version}")
    _gather(graph, [version])
    return graph


def of_dataset(dataset: Dataset) -> Graph:
    """Return everything a data set touched: versions, checks, packages, deployments, decisions, retraining cases."""
    graph = Graph(f"What {dataset.name} touched")
    graph.add(_dataset(dataset))
    touched = Q(pk__in=[])
    for role in DATA_ROLES:
        touched |= Q(**{role: dataset})
    rows = _versions().filter(touched).order_by("-registered_at", "-pk")
    found = list(rows[:MOST_VERSIONS])
    graph.left_out = rows.count() - len(found)
    _gather(graph, found)
    return graph


def of_decision(decision: Decision) -> Graph:
    """Return the way from one decision back to the digests of the rows behind it."""
    package = decision.deployment.package
    version = _versions().get(pk=package.version_id)
    graph = Graph(f"Where decision {str(decision.pk)[:8]}… came from")
    _sources(graph, version)
    _upstream(graph, [version])
    made = graph.add(_version(version))
    packed = graph.add(_package(package, version))
    served = graph.add(_deployment(decision.deployment, version))
    address = reverse("decision", args=[decision.pk])
    label = f"{decision.at:%Y-%m-%d %H:%M:%S}"
    answered = graph.add(Node(f"decision:{decision.pk}", "decision", f"Band {decision.band}", label, address))
    for source, target, how in (
        (made, packed, "packaged"),
        (packed, served, "deployed"),
        (served, answered, "answered"),
    ):
        graph.join(source, target, how)
    return graph


def as_data(graph: Graph) -> dict[str, Any]:
    """Return a graph as JSON values."""
    nodes = [
        {"id": node.id, "kind": node.kind, "label": node.label, "detail": node.detail, "url": node.url, **node.facts}
        for node in graph.nodes.values()
    ]
    edges = [{"source": edge.source, "target": edge.target, "label": edge.label} for edge in graph.edges]
    return {"title": graph.title, "nodes": nodes, "edges": edges, "left_out": graph.left_out}


def _versions() -> QuerySet[ModelVersion]:
    rows = ModelVersion.objects.select_related("model", *DATA_ROLES)
    return rows.defer("artifact", "schema", "metrics", "description", *(f"{role}__columns" for role in DATA_ROLES))


def _gather(graph: Graph, versions: Collection[ModelVersion]) -> None:
    """Add these versions with what lies behind and before them."""
    for version in versions:
        graph.add(_version(version))
        _sources(graph, version)
    _upstream(graph, versions)
    _origins(graph, versions)
    by_id = {version.pk: version for version in versions}
    for checks in _checks(by_id):
        graph.add(checks)
        graph.join(f"version:{checks.id.removeprefix('checks:')}", checks.id, "measured")
    packages = Package.objects.filter(version__in=by_id).order_by("assembled_at").defer("bands", "reasons", "fallback")
    for package in packages[:MOST_DEPLOYMENTS]:
        graph.add(_package(package, by_id[package.version_id]))
        graph.join(f"version:{package.version_id}", f"package:{package.pk}", "packaged")
    _served(graph, by_id)


def _served(graph: Graph, by_id: Mapping[UUID, ModelVersion]) -> None:
    """Add what was deployed of these versions, what it answered, and the cases that came of it."""
    rows = Deployment.objects.filter(package__version__in=by_id).select_related("package").order_by("-pk")
    deployments = list(rows.defer("warrant", "package__reasons", "package__fallback")[: MOST_DEPLOYMENTS + 1])
    graph.left_out += len(deployments) > MOST_DEPLOYMENTS
    deployments = deployments[:MOST_DEPLOYMENTS]
    counts = _counts([row.pk for row in deployments])
    for row in deployments:
        version = by_id[row.package.version_id]
        graph.add(_package(row.package, version))
        graph.join(f"version:{version.pk}", f"package:{row.package_id}", "packaged")
        served = graph.add(_deployment(row, version))
        graph.join(f"package:{row.package_id}", served, "deployed")
        if count := counts.get(row.pk, 0):
            graph.join(served, graph.add(_decisions(row, version, count)), "answered")
    _cases(graph, [row.pk for row in deployments])


def _version(version: ModelVersion, kind: str = "version") -> Node:
    return Node(
        f"version:{version.pk}",
        kind,
        str(version),
        f"digest {version.digest[:12]}…",
        reverse("version", args=[version.model.name, version.number]),
        {"digest": version.digest, "code_commit": version.lineage.get("code_commit", "")},
    )


def _dataset(dataset: Dataset) -> Node:
    return Node(
        f"dataset:{dataset.digest}",
        "dataset",
        dataset.name,
        f"{dataset.rows:,} rows, {dataset.digest[:12]}…",
        reverse("dataset-lineage", args=[dataset.digest]),
        {"digest": dataset.digest, "rows": dataset.rows},
    )


def _sources(graph: Graph, version: ModelVersion) -> None:
    """Add the data sets by their roles, the run, and what the run logged of data that are not registered here."""
    target = graph.add(_version(version))
    for role, dataset in data_of(version).items():
        graph.join(graph.add(_dataset(dataset)), target, role)
    page = reverse("version", args=[version.model.name, version.number])
    run = version.lineage.get("run_id")
    if run:
        commit = version.lineage.get("code_commit", "")
        detail = f"commit {commit[:10]}" if commit else "no commit recorded"
        graph.add(Node(f"run:{run}", "run", f"Run {run[:10]}", detail, f"{page}#lineage", {"commit": commit}))
        graph.join(f"run:{run}", target, "logged")
    for place, item in enumerate(logged_data(version)):
        name = item.get("name") or item.get("source") or "unnamed"
        detail = f"logged as {item.get('context') or 'input'}, not registered here"
        key = f"logged:{item.get('digest') or f'{version.pk}.{place}'}:{name}"
        node = Node(key, "logged data", str(name), detail, f"{page}#lineage", {"source": item.get("source", "")})
        graph.join(graph.add(node), target, item.get("context") or "read")


def _upstream(graph: Graph, versions: Collection[ModelVersion]) -> None:
    """Add the versions that these were made from: the parent of a retrained one, logged models that a run read."""
    asked = {version.pk: _named(version) for version in versions}
    names = {name for found in asked.values() for name in found}
    if not names:
        return
    numbered = Q(pk__in=[])
    for name in names:
        model, _, number = name.rpartition("/")
        if model and number.isdigit() and len(number) < 10:
            numbered |= Q(model__name=model, number=int(number))
    rows = _versions().filter(Q(digest__in=names) | Q(lineage__model_id__in=list(names)) | numbered)
    found = list(rows[:MOST_UPSTREAM])
    for version in versions:
        for other in found:
            keys = {other.digest, other.lineage.get("model_id"), f"{other.model.name}/{other.number}"}
            if keys & asked[version.pk] and other.pk != version.pk:
                graph.join(graph.add(_version(other, "upstream")), f"version:{version.pk}", "made from")


def _named(version: ModelVersion) -> set[str]:
    parent = version.lineage.get("parent")
    return {*version.lineage.get("upstream", ()), *([parent] if parent else ())}


def _origins(graph: Graph, versions: Collection[ModelVersion]) -> None:
    """Add the retraining cases that these versions came from."""
    for ended in CaseResult.objects.filter(version__in=versions).select_related("case__model")[:MOST_CASES]:
        graph.join(graph.add(_case(ended.case, "origin")), f"version:{ended.version_id}", "retrained")


def _checks(by_id: Mapping[UUID, ModelVersion]) -> Iterator[Node]:
    """Yield one node for the check runs of each version."""
    rows = CheckRun.objects.filter(version__in=by_id).order_by("check_name")
    runs: dict[UUID, list[tuple[str, str]]] = {}
    for version, name, verdict in rows.values_list("version", "check_name", "result__verdict"):
        runs.setdefault(version, []).append((name, verdict or "waiting"))
    for key, found in runs.items():
        tally = Counter(words(verdict).lower() for _, verdict in found)
        page = reverse("version", args=[by_id[key].model.name, by_id[key].number])
        yield Node(
            f"checks:{key}",
            "checks",
            f"{len(found)} check runs" if len(found) > 1 else "1 check run",
            ", ".join(f"{count} {state}" for state, count in tally.items()),
            f"{page}#checks",
            {"runs": [{"check": name, "verdict": verdict} for name, verdict in found]},
        )


def _package(package: Package, version: ModelVersion) -> Node:
    page = reverse("version", args=[version.model.name, version.number])
    detail = f"assembled {package.assembled_at:%Y-%m-%d}"
    label = f"Package {package.digest[:8]}"
    return Node(f"package:{package.pk}", "package", label, detail, f"{page}#signing", {"digest": package.digest})


def _deployment(row: Deployment, version: ModelVersion) -> Node:
    page = reverse("model", args=[version.model.name])
    return Node(
        f"deployment:{row.pk}", "deployment", f"Deployment {row.pk}", f"since {row.made_at:%Y-%m-%d %H:%M}", page
    )


def _counts(deployments: list[int]) -> dict[int, int]:
    """Return how many decisions each deployment answered, counted up to a bound."""
    with connection.cursor() as cursor:
        cursor.execute(_COUNTS, [COUNTED + 1, deployments])
        return dict(cursor.fetchall())


def _decisions(row: Deployment, version: ModelVersion, count: int) -> Node:
    told = f"More than {COUNTED:,}" if count > COUNTED else f"{count:,}"
    address = f"{reverse('decisions')}?model={quote(version.model.name)}"
    return Node(f"decisions:{row.pk}", "decisions", f"{told} decisions", "answered", address, {"count": count})


def _cases(graph: Graph, deployments: Iterable[int]) -> None:
    """Add the cases that alerts about these deployments opened, and the versions they ended with."""
    wanted = list(deployments)
    about = Q(alert__run__deployment__in=wanted) | Q(alert__refused__deployment__in=wanted)
    rows = Case.objects.filter(about).select_related("model", "alert__run", "alert__refused", "result__version__model")
    for case in rows.defer("alert__run__evidence", "alert__run__measurements").order_by("-opened_at")[:MOST_CASES]:
        opened = graph.add(_case(case, "case"))
        if cause := case.alert.run or case.alert.refused:
            graph.join(f"deployment:{cause.deployment_id}", opened, "alerted")
        made = case.result.version if hasattr(case, "result") else None
        if made:
            graph.join(opened, graph.add(_version(made, "successor")), "retrained")


def _case(case: Case, kind: str) -> Node:
    page = reverse("model", args=[case.model.name])
    return Node(
        f"case:{case.pk}", kind, "Retraining case", f"opened {case.opened_at:%Y-%m-%d}", page, {"cause": case.cause}
    )
