"""Lineage, model cards and the inventory over HTTP, by the same services as the pages."""

from datetime import date
from typing import Any
from urllib.parse import quote
from uuid import UUID

from django.conf import settings
from django.http import StreamingHttpResponse
from django.urls import path
from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from governance import card, graph, mlbom, openlineage
from governance import inventory as examined
from registry import datasets, inventory, prose, versions
from registry.api.access import actor_of
from registry.models import InventoryRecord, Prose
from registry.refusals import Invalid
from scoring import decisions

_READ, _DESCRIBE = "registry.read", "registry.describe_model"


class VersionLineage(APIView):
    """Where a version came from and what came of it."""

    needs = _READ

    def get(self, request: Request, name: str, number: int) -> Response:
        """Answer nodes and edges."""
        return Response(graph.as_data(graph.of_version(versions.version_of(name, number))))


class DatasetLineage(APIView):
    """Everything a data set touched."""

    needs = _READ

    def get(self, request: Request, digest: str) -> Response:
        """Answer nodes and edges."""
        return Response(graph.as_data(graph.of_dataset(datasets.by_digest(digest))))


class DecisionLineage(APIView):
    """The way from a decision back to the rows behind it."""

    needs = _READ

    def get(self, request: Request, decision_id: UUID) -> Response:
        """Answer nodes and edges."""
        return Response(graph.as_data(graph.of_decision(decisions.by_id(decision_id))))


class OpenLineage(APIView):
    """The lineage of a version for other catalogues."""

    needs = _READ

    def get(self, request: Request, name: str, number: int) -> Response:
        """Answer OpenLineage RunEvents, a list."""
        return Response(openlineage.events(versions.version_of(name, number), settings.PUBLIC_URL.rstrip("/")))


class MlBom(APIView):
    """The model card for other tools."""

    needs = _READ

    def get(self, request: Request, name: str, number: int) -> Response:
        """Answer a CycloneDX ML-BOM."""
        now = timezone.now()
        made = mlbom.document(card.of(versions.version_of(name, number), now.date()), now)
        headers = {"Content-Disposition": f'attachment; filename="{quote(name)}-{number}.cdx.json"'}
        return Response(made, content_type="application/vnd.cyclonedx+json; version=1.6", headers=headers)


class Cards(APIView):
    """The prose of a model card."""

    needs = {"GET": _READ, "POST": _DESCRIBE}

    def get(self, request: Request, name: str, number: int) -> Response:
        """Answer the prose that holds for a version, and what was written for it before."""
        version = versions.version_of(name, number)
        held = prose.of(version)
        return Response({"prose": held and _prose(held), "history": [_prose(row) for row in prose.history(version)]})

    def post(self, request: Request, name: str, number: int) -> Response:
        """Write it anew: any of intended_use, limits, out_of_scope, ethics."""
        version = versions.version_of(name, number)
        made = prose.write(version=version, by=actor_of(request), now=timezone.now(), **_object(request))
        return Response(_prose(made), status=201)


class Inventory(APIView):
    """What the inventory says of a model."""

    needs = {"GET": _READ, "POST": _DESCRIBE}

    def get(self, request: Request, name: str) -> Response:
        """Answer the record in force, what is not evidenced, and the records before it."""
        model = versions.model_named(name)
        row, rows = examined.rows([model], timezone.now().date())[0], inventory.history(model)
        told = {"tier": model.tier, "overdue": row.overdue, "not_evidenced": row.missing}
        return Response({**told, "record": row.record and _record(row.record), "history": [_record(r) for r in rows]})

    def post(self, request: Request, name: str) -> Response:
        """Record it anew; next_review as a day, such as 2027-03-31."""
        facts = _object(request)
        if isinstance(facts.get("next_review"), str):
            facts["next_review"] = _day(facts["next_review"])
        model = versions.model_named(name)
        made = inventory.record(model=model, by=actor_of(request), now=timezone.now(), **facts)
        return Response(_record(made), status=201)


class InventoryTable(APIView):
    """The whole inventory as one table."""

    needs = _READ

    def get(self, request: Request) -> StreamingHttpResponse:
        """Answer CSV: a header in plain words, one line per model."""
        today = timezone.now().date()
        headers = {"Content-Disposition": f'attachment; filename="inventory-{today}.csv"'}
        lines = examined.as_csv(examined.models(today=today), today)
        return StreamingHttpResponse(lines, content_type="text/csv; charset=utf-8", headers=headers)


def _object(request: Request) -> dict[str, Any]:
    body = request.data
    if not isinstance(body, dict) or set(body) & {"model", "version", "by", "now"}:
        raise Invalid("Send an object with the fields to record.")
    return dict(body)


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise Invalid(f"{text[:40]!r} is not a day such as 2027-03-31.") from error


def _prose(row: Prose) -> dict[str, Any]:
    told = {"written_for": row.version.number, "written_by": row.written_by.username, "written_at": row.written_at}
    return {**prose.said_in(row), **told}


def _record(row: InventoryRecord) -> dict[str, Any]:
    return {**inventory.said_in(row), "recorded_by": row.recorded_by.username, "recorded_at": row.recorded_at}


_VERSION = "api/v1/models/<str:name>/versions/<int:number>"
urlpatterns = [
    path(f"{_VERSION}/lineage", VersionLineage.as_view(), name="version-lineage"),
    path(f"{_VERSION}/lineage.openlineage.json", OpenLineage.as_view(), name="openlineage"),
    path(f"{_VERSION}/card.cdx.json", MlBom.as_view(), name="ml-bom"),
    path(f"{_VERSION}/card", Cards.as_view()),
    path("api/v1/datasets/<str:digest>/lineage", DatasetLineage.as_view(), name="dataset-lineage-data"),
    path("api/v1/decisions/<uuid:decision_id>/lineage", DecisionLineage.as_view(), name="decision-lineage-data"),
    path("api/v1/models/<str:name>/inventory", Inventory.as_view()),
    path("api/v1/inventory.csv", InventoryTable.as_view(), name="inventory-csv"),
]
