"""The inventory of models as an examiner reads it: what is computed, what was recorded, what is missing; as CSV.

The columns follow the fields that OSFI's E-23 and SR 26-2 are described as asking for.
"""

import csv
import io
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

from django.db.models import Count, F, Max, OuterRef, QuerySet, Subquery

from governance.models import ApprovalRequest, Case, Signature
from monitoring.models import Alert
from registry import inventory, labels, regulations
from registry.models import InventoryRecord, ModelVersion, Prose, RegisteredModel
from registry.versions import DATA_ROLES, data_of
from scoring.models import Deployment

CHUNK = 500  # models whose facts are gathered at once
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


@dataclass(frozen=True)
class Row:
    """A model with everything the inventory says of it. `version`: the champion's, else the newest."""

    model: RegisteredModel
    description: str
    record: InventoryRecord | None
    champion: Deployment | None
    version: ModelVersion | None
    prose: Prose | None
    signatures: list[Signature]
    last_review: datetime | None
    alerts: int
    cases: int
    today: date

    @property
    def missing(self) -> list[str]:
        """What an examiner asks for and nobody recorded."""
        written = {"approved uses": self.prose and self.prose.intended_use, "limits": self.prose and self.prose.limits}
        return [*inventory.missing(self.record), *(name for name, text in written.items() if not text)]

    @property
    def overdue(self) -> bool:
        """Whether the day of the next review has passed."""
        return inventory.overdue(self.record, self.today)

    @property
    def outdated(self) -> bool:
        """Whether the use was classified under an older edition of the regulations."""
        return inventory.outdated(self.record)

    @property
    def dependencies(self) -> list[str]:
        """The upstream models of the version, and the feeds that were recorded."""
        lineage = self.version.lineage if self.version else {}
        parent = [f"retrained from {lineage['parent'][:12]}"] if lineage.get("parent") else []
        return [*lineage.get("upstream", ()), *parent, *(self.record.dependencies if self.record else ())]


def models(*, tier: int | None = None, owner: str = "", state: str = "", today: date) -> QuerySet[RegisteredModel]:
    """Return models by name; `state`: overdue, unrecorded or nothing."""
    newest = InventoryRecord.objects.filter(model=OuterRef("pk")).order_by("-recorded_at", "-id")
    rows = RegisteredModel.objects.select_related("owner").order_by("name")
    if tier:
        rows = rows.filter(tier=tier)
    if owner:
        rows = rows.filter(owner__username=owner)
    if state == "overdue":
        rows = rows.annotate(review=Subquery(newest.values("next_review")[:1])).filter(review__lt=today)
    if state == "unrecorded":
        rows = rows.filter(inventory_records=None)
    return rows


def rows(models: Collection[RegisteredModel], today: date) -> list[Row]:
    """Gather what the inventory says of these models: a fixed handful of queries however many they are."""
    records, described = inventory.newest(models), labels.descriptions(models, "model")
    made = Deployment.objects.filter(model__in=models).select_related("package").defer("warrant")
    champions = {row.model_id: row for row in made.order_by("model_id", "-id").distinct("model_id")}
    versions = _versions(models, champions)
    prose = _prose(models, versions)
    signatures = _signatures([row.request for row in champions.values()])
    reviewed = _reviewed(models)
    alerts = _counted(Alert.objects.filter(model__in=models, disposition=None))
    cases = _counted(Case.objects.filter(model__in=models, result=None))
    return [
        Row(
            model=model,
            description=described[model.pk].text if model.pk in described else model.description,
            record=records.get(model.pk),
            champion=champions.get(model.pk),
            version=versions.get(model.pk),
            prose=prose.get(model.pk),
            signatures=signatures.get(champions[model.pk].request, []) if model.pk in champions else [],
            last_review=reviewed.get(model.pk),
            alerts=alerts.get(model.pk, 0),
            cases=cases.get(model.pk, 0),
            today=today,
        )
        for model in models
    ]


def _versions(models: Collection[RegisteredModel], champions: Mapping[UUID, Deployment]) -> dict[UUID, ModelVersion]:
    """Return the version that each model is described by: the champion's, else the newest."""
    rows = ModelVersion.objects.select_related(*DATA_ROLES).defer("artifact", "schema", "metrics")
    newest = rows.filter(model__in=models).order_by("model_id", "-number").distinct("model_id")
    serving = rows.filter(pk__in=[row.package.version_id for row in champions.values()])
    return {row.model_id: row for row in (*newest, *serving)}


def _prose(models: Collection[RegisteredModel], versions: Mapping[UUID, ModelVersion]) -> dict[UUID, Prose]:
    """Return the prose that holds for each version: its own, else of the newest before it."""
    found: dict[UUID, Prose] = {}
    rows = Prose.objects.filter(version__model__in=models).select_related("version")
    for row in rows.order_by("version__number", "written_at", "id"):
        if row.version.number <= versions[row.version.model_id].number:
            found[row.version.model_id] = row
    return found


def _signatures(requests: list[UUID]) -> dict[UUID, list[Signature]]:
    found: dict[UUID, list[Signature]] = {}
    rows = Signature.objects.filter(request__in=requests, outcome="approve").select_related("signer")
    for row in rows.order_by("signed_at"):
        found.setdefault(row.request_id, []).append(row)
    return found


def _reviewed(models: Collection[RegisteredModel]) -> dict[UUID, datetime]:
    """Return when a person last signed or refused something about each model."""
    asked = ApprovalRequest.objects.filter(package__version__model__in=models)
    last = asked.values(model=F("package__version__model")).annotate(at=Max("signatures__signed_at"))
    return {row["model"]: row["at"] for row in last if row["at"]}


def _counted(rows: QuerySet[Any]) -> dict[UUID, int]:
    return dict(rows.order_by().values_list("model").annotate(Count("pk")))


def _told(name: str) -> Callable[[Row], Any]:
    return lambda row: getattr(row.record, name) if row.record else None


def _person(user: Any) -> str:
    return user.get_full_name() or user.get_username()


def _data(row: Row) -> list[str]:
    found = data_of(row.version) if row.version else {}
    return [f"{role}: {data.name}, {data.rows} rows, sha256 {data.digest}" for role, data in found.items()]


def _answer(value: bool | None) -> str | None:
    return None if value is None else "yes" if value else "no"


COLUMNS: dict[str, Callable[[Row], Any]] = {
    "Model identifier": lambda row: row.model.pk,
    "Model name": lambda row: row.model.name,
    "Description": lambda row: row.description,
    "Business purpose": _told("business_purpose"),
    "Version described": lambda row: row.version and row.version.number,
    "In production": lambda row: "yes" if row.champion else "no",
    "In production since (UTC)": lambda row: row.champion and row.champion.made_at,
    "Owner": lambda row: _person(row.model.owner),
    "Developer": _told("developer"),
    "Validator (independent reviewer)": _told("validator"),
    "Approved by": lambda row: [f"{_person(one.signer)} ({one.role})" for one in row.signatures],
    "Vendor or own": lambda row: inventory.ORIGINS.get(row.record.origin) if row.record else None,
    "Vendor": lambda row: row.record and (row.record.vendor or (row.record.origin == "own" and "none") or None),
    "Exposure": lambda row: row.model.exposure,
    "Purpose (how its output is used)": lambda row: row.model.purpose,
    "Risk tier (1 is the most material, computed from exposure and purpose)": lambda row: row.model.tier,
    "Counts as a model": lambda row: _answer(row.record.is_model) if row.record else None,
    "Why it is a model or not": _told("is_model_reason"),
    "Approved uses": lambda row: row.prose and row.prose.intended_use,
    "Limits": lambda row: row.prose and row.prose.limits,
    "Uses out of scope": lambda row: row.prose and row.prose.out_of_scope,
    "Data sources": _data,
    "Dependencies (upstream models and feeds)": lambda row: row.dependencies or "none recorded",
    "Jurisdictions": _told("jurisdictions"),
    "AI Act classification (the owner's)": lambda row: (
        regulations.AI_ACT_CLASSES.get(row.record.ai_act_class) if row.record else None
    ),
    "Why it is classified so": _told("ai_act_reason"),
    "Regulations as of": _told("regulations_as_of"),
    "Last signed review (UTC)": lambda row: row.last_review,
    "Next review": _told("next_review"),
    "Review overdue": lambda row: "yes" if row.overdue else "no",
    "Monitoring": lambda row: f"open alerts: {row.alerts}" if row.champion else "not in production",
    "Exceptions": lambda row: f"open alerts: {row.alerts}; open retraining cases: {row.cases}",
    "Recorded by": lambda row: _person(row.record.recorded_by) if row.record else None,
    "Recorded on (UTC)": _told("recorded_at"),
    "Not evidenced": lambda row: row.missing or "nothing",
}
NOTHING = "not evidenced"


def as_csv(models: QuerySet[RegisteredModel], today: date) -> Iterator[str]:
    """Yield the inventory as CSV (RFC 4180): a header in plain words, then one line per model, chunk by chunk."""
    yield _line(COLUMNS)
    after = ""
    while chunk := list(models.filter(name__gt=after)[:CHUNK]):
        yield "".join(_line(cell(tell(row)) for tell in COLUMNS.values()) for row in rows(chunk, today))
        after = chunk[-1].name


def text(value: Any, between: str = "; ") -> str:
    """Return a value in words; items of a list stand apart by `between`."""
    if isinstance(value, list | tuple):
        value = between.join(map(str, value))
    if isinstance(value, datetime):
        value = f"{value:%Y-%m-%d %H:%M:%S}"
    return NOTHING if value is None or value == "" else str(value).replace("\0", "")


def cell(value: Any) -> str:
    """Return a value as the text of a cell that no spreadsheet takes for a formula."""
    told = text(value)
    return f"'{told}" if told.lstrip().startswith(_FORMULA) or told.startswith(_FORMULA) else told


def _line(cells: Any) -> str:
    sink = io.StringIO()
    csv.writer(sink).writerow(cells)
    return sink.getvalue()


def owners() -> list[str]:
    """Return who owns models, by user name."""
    return list(
        RegisteredModel.objects.order_by("owner__username").values_list("owner__username", flat=True).distinct()
    )
