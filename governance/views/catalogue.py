"""The first page, and the page of one model."""

from dataclasses import dataclass

from django.db.models import Count, Exists, OuterRef, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from governance import inventory as examined
from governance import lifecycle, retraining
from governance.forms import PeriodForm
from governance.models import ApprovalRequest, Case, Order, Signature
from governance.workflow import Facts, Stage, reasons_against
from registry import labels, registrations, versions
from registry.models import Alias, ModelVersion, RegisteredModel, User
from registry.pages import needs, person_of, screenful, whole_number
from scoring.models import Deployment

MODELS = 25  # a screenful: each row gathers the facts about one version
VERSIONS = 12
MOVES = 60
UNDECIDED = 40  # requests looked at for "waiting for you"
DUTIES = {"sign": "governance.sign", "promote": "governance.promote"}


@dataclass(frozen=True)
class Listed:
    """A model in the list."""

    model: RegisteredModel
    champion: Deployment | None
    newest: ModelVersion | None
    facts: Facts | None
    pending: int


@dataclass(frozen=True)
class Duty:
    """Something that waits for the person who looks."""

    action: str
    request: ApprovalRequest
    owed: str


@require_safe
@needs("registry.read")
def home(request: HttpRequest) -> HttpResponse:
    """Show what waits for this person, then every model."""
    after = request.GET.get("after", "")
    models, more = screenful(_models(after), MODELS)
    undecided = list(_undecided()[:UNDECIDED])
    context = {
        "section": "models",
        "duties": _duties(person_of(request), undecided),
        "rows": _listed(models, undecided),
        "after": after,
        "next": models[-1].name if more else None,
    }
    return render(request, "home.html", context)


def _models(after: str) -> QuerySet[RegisteredModel]:
    counted = RegisteredModel.objects.annotate(
        open_alerts=Count("alerts", filter=Q(alerts__disposition=None)),
    )
    return counted.filter(name__gt=after).select_related("owner").order_by("name")


def _undecided() -> QuerySet[ApprovalRequest]:
    """Return the requests that nobody refused, executed or replaced, oldest first."""
    newer = ApprovalRequest.objects.filter(
        package__version=OuterRef("package__version"), requested_at__gt=OuterRef("requested_at")
    )
    refused = Signature.objects.filter(request=OuterRef("pk"), outcome="reject")
    executed = Deployment.objects.filter(request=OuterRef("pk"))
    rows = ApprovalRequest.objects.filter(~Exists(newer), ~Exists(refused), ~Exists(executed))
    rows = rows.select_related("package__version__model", "package__version__registered_by", "requested_by")
    return rows.order_by("requested_at")


def _duties(user: User, undecided: list[ApprovalRequest]) -> list[Duty]:
    actions = [action for action, permission in DUTIES.items() if user.has_perm(permission)]
    if not actions:
        return []
    person, found = lifecycle.person(user), []
    known = lifecycle.facts_of_all([request.package.version for request in undecided])
    for request in undecided:
        facts = known[request.package.version_id]
        owed = ", ".join(f"{count} × {role}" for role, count in facts.outstanding.items())
        found += [Duty(action, request, owed) for action in actions if not reasons_against(action, facts, person)]
    return found


def _listed(models: list[RegisteredModel], undecided: list[ApprovalRequest]) -> list[Listed]:
    deployed = Deployment.objects.filter(model__in=models).select_related("package__version").defer("warrant")
    champions = {row.model_id: row for row in deployed.order_by("model_id", "-id").distinct("model_id")}
    registered = ModelVersion.objects.filter(model__in=models).select_related("model", "registered_by")
    newest = {row.model_id: row for row in registered.order_by("model_id", "-number").distinct("model_id")}
    known = lifecycle.facts_of_all(newest.values())
    about = [request.package.version.model_id for request in undecided]
    return [
        Listed(
            model=model,
            champion=champions.get(model.pk),
            newest=newest.get(model.pk),
            facts=known[newest[model.pk].pk] if model.pk in newest else None,
            pending=about.count(model.pk),
        )
        for model in models
    ]


@require_safe
@needs("registry.read")
def model_page(request: HttpRequest, name: str) -> HttpResponse:
    """Show a model: what serves, what served, its versions, alerts and cases."""
    model = versions.model_named(name)
    before = whole_number(request.GET.get("before", ""))
    rows = model.registrations.select_related("model", "asked_by", "version", "refusal").order_by("-number")
    found, more = screenful(rows.filter(number__lt=before) if before else rows, VERSIONS)
    pinned = {row.pk: row.version for row in found if hasattr(row, "version")}
    history, known = _history(model), lifecycle.facts_of_all(pinned.values())
    context = {
        "section": "models",
        "model": model,
        "description": labels.description_of(model),
        "aliases": _aliases(model),
        "champion": history[0] if history else None,
        "history": history,
        "versions": [(row, pinned.get(row.pk), known.get(row.pk), registrations.word(row)) for row in found],
        "next": found[-1].number if more else None,
        "before": before,
        "order_pending": lifecycle.pending_order(model),
        "alerts": model.alerts.select_related("disposition", "run").defer("run__evidence").order_by("-raised_at")[:20],
        "cases": _cases(model),
        "inventory": examined.rows([model], timezone.now().date())[0],
        "period_form": PeriodForm(),
        "blocked_stages": (Stage.BLOCKED, Stage.REJECTED, Stage.UNSERVABLE),
    }
    return render(request, "model.html", context)


def _aliases(model: RegisteredModel) -> list[list[Alias]]:
    """Return the newest moves of the free aliases, those of one alias together, the newest first."""
    moves: dict[str, list[Alias]] = {}
    for move in labels.alias_history(model)[:MOVES]:
        moves.setdefault(move.name, []).append(move)
    return list(moves.values())


def _history(model: RegisteredModel) -> list[Deployment]:
    """Return the newest deployments, each with the order that led to it."""
    rows = Deployment.objects.filter(model=model).select_related("package__version__model", "made_by").defer("warrant")
    found = list(rows.order_by("-id")[:30])
    orders = Order.objects.in_bulk([row.order for row in found])
    for row in found:
        row.ordered = orders.get(row.order)  # type: ignore[attr-defined]
    return found


def _cases(model: RegisteredModel) -> list[tuple[Case, tuple[int, int] | None]]:
    """Return the newest cases; with one that is open, how many labels it has and needs."""
    rows = Case.objects.filter(model=model).select_related("model", "result__version__model", "alert__run")
    newest = rows.defer("alert__run__evidence").order_by("-opened_at")[:20]
    return [(case, None if hasattr(case, "result") else retraining.labels(case)) for case in newest]
