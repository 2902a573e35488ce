"""The graphs: what a data set touched, and where a decision came from. A version's is part of its page."""

from typing import Any
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_safe

from governance import drawing, graph
from governance.graph import Graph
from registry import datasets, versions, windows
from registry.pages import needs
from scoring import decisions
from scoring.models import Decision


def drawn(found: Graph) -> dict[str, Any]:
    """Return what `_graph.html` shows: the drawing, and the same as a list for who reads rather than looks."""
    links: dict[str, list[Any]] = {}
    for edge in found.edges:
        links.setdefault(edge.source, []).append((edge, found.nodes[edge.target]))
    return {
        "graph": found,
        "drawing": drawing.layered(found.title, list(found.nodes.values()), found.edges),
        "graph_list": [(node, links.get(node.id, [])) for node in found.nodes.values()],
    }


@require_safe
@needs("registry.read")
def dataset_lineage(request: HttpRequest, digest: str) -> HttpResponse:
    """Show everything a data set touched."""
    dataset = datasets.by_digest(digest)
    context = {
        "section": "models",
        "lead": "Forward from these rows: every version, check, package, deployment, decision and case they touched.",
        "facts_title": "Data set",
        "about_url": reverse("dataset", args=[dataset.digest]),
        "facts": [
            ("Name", dataset.name),
            ("Digest", dataset.digest),
            ("Rows", f"{dataset.rows:,}"),
            ("Time window (UTC)", windows.told([dataset]).get(dataset.digest) or "no time column tells"),
            ("Columns", f"{len(dataset.columns):,}"),
            ("Registered", f"{dataset.registered_at:%Y-%m-%d %H:%M} by {dataset.registered_by.get_username()}"),
        ],
        "data_url": reverse("dataset-lineage-data", args=[dataset.digest]),
        **drawn(graph.of_dataset(dataset)),
    }
    return render(request, "lineage.html", context)


@require_safe
@needs("registry.read")
def decision_lineage(request: HttpRequest, decision_id: UUID) -> HttpResponse:
    """Show the way from a decision back to the rows behind it."""
    decision = decisions.by_id(decision_id)
    context = {
        "section": "decisions",
        "lead": "Back from one decision: what answered, its package, and the digests of the rows behind it.",
        "facts_title": "The rows behind it",
        "facts": _rows(decision),
        "data_url": reverse("decision-lineage-data", args=[decision.pk]),
        **drawn(graph.of_decision(decision)),
    }
    return render(request, "lineage.html", context)


def _rows(decision: Decision) -> list[tuple[str, str]]:
    """Return by role the data sets of the version that answered, with their whole digests."""
    found = versions.data_of(decision.deployment.package.version)
    return [(role.capitalize(), f"{data.name}, {data.rows:,} rows, {data.digest}") for role, data in found.items()]
