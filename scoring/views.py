"""The list of decisions, and the page of one."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from registry.models import Package, RegisteredModel
from registry.pages import identifier, kept, lines, needs, person_of, screenful
from scoring import charts, decisions, replaying
from scoring.models import Decision


@require_safe
@needs("registry.read")
def decision_list(request: HttpRequest) -> HttpResponse:
    """Show decisions, newest first, by model and band; an identifier leads to its page."""
    wanted = identifier(request.GET.get("id", ""))
    if wanted:
        return redirect("decision", wanted)
    model, band = (request.GET.get(name, "").strip() for name in ("model", "band"))
    before = identifier(request.GET.get("before", ""))
    rows, more = screenful(_chosen(model, band, before))
    context = {
        "section": "decisions",
        "decisions": rows,
        "next": rows[-1].pk if more else None,
        "before": before,
        "models": RegisteredModel.objects.order_by("name").values_list("name", flat=True)[:200],
        "bands": _bands(),
        "model": model,
        "band": band,
        "kept": kept(model=model, band=band),
    }
    return render(request, "decisions.html", context)


def _chosen(model: str, band: str, before: UUID | None) -> QuerySet[Decision]:
    rows = Decision.objects.select_related("deployment__package__version__model").order_by("-id")
    rows = rows.defer("inputs", "answer", "vector", "attributions", "deployment__warrant")
    chosen = {"model__name": model, "band": band, "pk__lt": before}
    return rows.filter(**{name: value for name, value in chosen.items() if value})


def _bands() -> list[str]:
    packages = Package.objects.filter(deployments__isnull=False).order_by("-assembled_at")
    return sorted({band["name"] for bands in packages.values_list("bands", flat=True)[:200] for band in bands})


@require_safe
@needs("registry.read")
def decision_page(request: HttpRequest, decision_id: UUID) -> HttpResponse:
    """Show what was sent, what was answered and why."""
    decision = decisions.by_id(decision_id)
    inputs, answer = decisions.inputs_of(decision), decisions.explained(decision)
    is_explained = "attributions" in answer
    package = decision.deployment.package
    context = {
        "section": "decisions",
        "decision": decision,
        "package": package,
        "version": package.version,
        "answer": answer,
        "reasons": decisions.reasons_of(decision, answer),
        "investigation": decisions.investigated(decision, answer) if may(request, "investigate") else [],
        "band": _limits(package.bands, answer["band"]),
        "rows": _rows(inputs["features"], answer, package.version.schema, inputs.get("online", {})),
        "attributes": inputs["attributes"],
        "waterfall": _waterfall(inputs["features"], answer, package.version.schema) if is_explained else None,
        "sum": _sum(answer) if is_explained else None,
        "outcomes": decision.outcomes.select_related("recorded_by").order_by("observed_at"),
        "overrides": decision.overrides.order_by("decided_at"),
        "replays": replaying.of(decision),
        "lines": lines(decisions.entries(decision)),
    }
    return render(request, "decision.html", context)


@require_POST
@needs("scoring.replay")
def ask_replay(request: HttpRequest, decision_id: UUID) -> HttpResponse:
    """Ask that a worker compute a decision again."""
    replaying.ask(decision=decisions.by_id(decision_id), by=person_of(request), now=timezone.now())
    return redirect("decision", decision_id)


def may(request: HttpRequest, what: str) -> bool:
    """Say whether the person at the page has a permission of scoring."""
    return request.user.has_perm(f"scoring.{what}")


def _limits(bands: list[dict[str, Any]], name: str) -> dict[str, Any]:
    """Say between which scores a band lies."""
    starts = [band["from"] for band in bands]
    place = next((i for i, band in enumerate(bands) if band["name"] == name), 0)
    return {"from": starts[place], "to": starts[place + 1] if place + 1 < len(starts) else 1}


def _rows(
    features: dict[str, Any], answer: dict[str, Any], schema: list[dict[str, Any]], read: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """Return each feature as it was used with what it contributed (None in a fallback), in the order of the schema.

    `outside`: its value is beyond what the reference data held; `online`: what is known of it from the online store.
    """
    names = [column["name"] for column in schema]
    pairs = zip(names, answer.get("attributions", [None] * len(names)), strict=True)
    outside = answer.get("out_of_range", ())
    return [
        {
            "name": name,
            "value": shown(features.get(name)),
            "contribution": value,
            "outside": name in outside,
            "online": read.get(name),
        }
        for name, value in pairs
    ]


def shown(value: Any) -> str:
    """Return an input as a person would write it."""
    if value is None:
        return "missing"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _waterfall(features: dict[str, Any], answer: dict[str, Any], schema: list[dict[str, Any]]) -> charts.Chart:
    rows = _rows(features, answer, schema, {})
    steps = [charts.Step(f"{row['name']} = {row['value']}", row["contribution"]) for row in rows]
    return charts.waterfall(answer["base"], steps, answer["margin"], answer["score"])


def _sum(answer: dict[str, Any]) -> dict[str, Any]:
    total = answer["base"] + sum(answer["attributions"])
    return {"total": total, "margin": answer["margin"], "difference": abs(total - answer["margin"])}
