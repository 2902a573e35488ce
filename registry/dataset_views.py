"""The pages of data sets: all of them, and one with what its columns hold, its first rows, and how long it is kept."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.contrib import messages
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_safe

from registry import datasets, distributions, retention
from registry.models import Dataset, DatasetRetention, DatasetStatistics, ModelVersion
from registry.pages import identifier, kept, needs, only_post, person_of, screenful
from registry.refusals import Refusal, Unknown
from registry.versions import DATA_ROLES

SIZE, USES = 25, 30
_SHOWN = 3  # frequent values named beside a column


@dataclass(frozen=True)
class Listed:
    """A data set in the list."""

    dataset: Dataset
    window: dict[str, str] | None
    retention: str


@dataclass(frozen=True)
class ColumnRow:
    """One column on the page of a data set."""

    name: str
    role: str
    kind: str
    count: int
    missing: float
    distinct: str
    says: list[str]
    picture: distributions.Svg | None


@require_safe
@needs("registry.read")
def dataset_list(request: HttpRequest) -> HttpResponse:
    """Show the data sets, newest first."""
    name, role, held = (request.GET.get(key, "").strip() for key in ("name", "role", "retention"))
    before = identifier(request.GET.get("before", ""))
    rows = _filtered(name, role, held)
    found, more = screenful(rows.filter(pk__lt=before) if before else rows, SIZE)
    context = {
        "section": "datasets",
        "rows": _listed(found),
        "name": name,
        "role": role,
        "held": held,
        "roles": DATA_ROLES,
        "classes": retention.classes(),
        "before": before,
        "next": str(found[-1].pk) if more else None,
        "kept": kept(name=name, role=role, retention=held),
    }
    return render(request, "datasets.html", context)


def _filtered(name: str, role: str, held: str) -> QuerySet[Dataset]:
    rows = Dataset.objects.select_related("registered_by").order_by("-pk").filter(name__icontains=name)
    if role in DATA_ROLES:
        used = ModelVersion.objects.filter(**{f"{role}__isnull": False}).values(role)
        rows = rows.filter(pk__in=used)
    if held:
        newest = DatasetRetention.objects.order_by("dataset_id", "-set_at", "-id").distinct("dataset_id")
        in_force = DatasetRetention.objects.filter(pk__in=newest.values("pk"), name=held)
        rows = rows.filter(pk__in=in_force.values("dataset"))
    return rows


def _listed(found: list[Dataset]) -> list[Listed]:
    """Return the rows of the list: two queries however many there are."""
    measured = DatasetStatistics.objects.filter(dataset__in=found).order_by("computed_at")
    windows = dict(measured.values_list("dataset_id", "content__window"))
    given = DatasetRetention.objects.filter(dataset__in=found).order_by("set_at", "id")
    classes = dict(given.values_list("dataset_id", "name"))
    return [Listed(row, windows.get(row.pk), classes.get(row.pk, "")) for row in found]


@require_safe
@needs("registry.read")
def dataset_page(request: HttpRequest, digest: str) -> HttpResponse:
    """Show one data set; masked columns only when somebody who may see them asks for it."""
    return _page(request, datasets.by_digest(digest))


def _page(request: HttpRequest, dataset: Dataset, refusal: str = "") -> HttpResponse:
    may_see = request.user.has_perm("registry.see_restricted")
    unmasked = may_see and request.GET.get("unmasked") == "1"
    given = retention.of(dataset)
    content = _content(dataset)
    context = {
        "section": "datasets",
        "dataset": dataset,
        "columns": [_column(column, dataset.rows) for column in content["columns"]],
        "window": content["window"],
        **_preview(dataset, unmasked=unmasked),
        "may_see": may_see,
        "unmasked": unmasked,
        "retention": given,
        "until": retention.until(dataset, given),
        "history": dataset.retentions.select_related("set_by").order_by("-set_at", "-id"),
        "classes": retention.classes(),
        "refusal": refusal,
        "uses": _uses(dataset),
    }
    return render(request, "dataset.html", context, status=422 if refusal else 200)


def _content(dataset: Dataset) -> dict[str, Any]:
    try:
        return datasets.statistics(dataset).content
    except Unknown:
        return {"window": None, "columns": []}


def _preview(dataset: Dataset, *, unmasked: bool) -> dict[str, Any]:
    """Return the first rows; where the store fails, why: the page tells all the rest."""
    try:
        shown = datasets.preview(dataset, unmasked=unmasked)
    except Refusal as refusal:
        return {"names": [], "lines": [], "unread": refusal.detail}
    names = [(name, name in shown["masked"]) for name in shown["columns"]]
    lines = [[(value, hidden) for value, (_, hidden) in zip(row, names, strict=True)] for row in shown["rows"]]
    return {"names": names, "lines": lines, "unread": ""}


def _column(column: dict[str, Any], rows: int) -> ColumnRow:
    more = column.get("distinct_more_than")
    distinct = f"more than {more:,}" if more else f"{column['distinct']:,}" if "distinct" in column else "–"
    return ColumnRow(
        name=column["name"],
        role=column["role"],
        kind=column["type"],
        count=column["count"],
        missing=column["missing"] / rows,
        distinct=distinct,
        says=_says(column),
        picture=distributions.picture(column),
    )


def _says(column: dict[str, Any]) -> list[str]:
    """Return what a column holds, in lines of a few words."""
    if column.get("mean") is not None:
        return [
            f"{column['min']:,.6g} to {column['max']:,.6g}",
            f"mean {column['mean']:,.4g}, std {column['std']:,.4g}",
        ]
    if column.get("min") is not None:
        return [f"{column['min'][:19].replace('T', ' ')} to", column["max"][:19].replace("T", " ")]
    top = [f"{value} {count / max(1, column['count']):.0%}" for value, count in column.get("top", [])[:_SHOWN]]
    return [", ".join(top)] if top else []


def _uses(dataset: Dataset) -> list[tuple[ModelVersion, str]]:
    """Return the versions that name this data set, newest first, each with what it is to them."""
    named = Q()
    for role in DATA_ROLES:
        named |= Q(**{role: dataset})
    found = ModelVersion.objects.filter(named).select_related("model").order_by("-registered_at")[:USES]
    return [(version, _roles(version, dataset, DATA_ROLES)) for version in found]


def _roles(version: ModelVersion, dataset: Dataset, roles: Iterable[str]) -> str:
    return ", ".join(role for role in roles if getattr(version, f"{role}_id") == dataset.pk)


@only_post("dataset", "digest")
@needs("registry.read", "registry.register_version")
def assign_retention(request: HttpRequest, digest: str) -> HttpResponse:
    """Give a data set a retention class."""
    dataset = datasets.by_digest(digest)
    name, reason = (request.POST.get(key, "").strip() for key in ("class", "reason"))
    try:
        made = retention.assign(dataset=dataset, name=name, reason=reason, by=person_of(request), now=timezone.now())
    except Refusal as refusal:
        return _page(request, dataset, refusal.detail)
    messages.success(request, f"Kept as {made.name} from now on.")
    return redirect("dataset", digest)
