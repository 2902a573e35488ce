"""The model card of a version, to read, to print, and for its author to write the prose."""

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods

from governance import card
from governance.forms import ProseForm
from registry import labels, prose, stewards, versions
from registry.api.problems import status_of
from registry.models import ModelVersion
from registry.pages import needs, person_of
from registry.refusals import Refusal

DIGESTS = ("Digest", "Run", "Code commit", "Environment lock")


@require_http_methods(["GET", "HEAD", "POST"])
@needs("registry.read")
def card_page(request: HttpRequest, name: str, number: int) -> HttpResponse:
    """Show the card; write its prose anew."""
    version = versions.version_of(name, number)
    if request.method != "POST":
        held = prose.of(version)
        return _page(request, version, ProseForm(initial=prose.said_in(held) if held else {}))
    form = ProseForm(request.POST)
    if not form.is_valid():
        return _page(request, version, form, status=422)
    try:
        prose.write(version=version, by=person_of(request), now=timezone.now(), **form.cleaned_data)
    except Refusal as refusal:
        form.take(refusal)
        return _page(request, version, form, refusal=refusal, status=status_of(refusal)[0])
    messages.success(request, "It is on record. What was written before stays on file.")
    return redirect("card", version.model.name, version.number)


def _page(
    request: HttpRequest,
    version: ModelVersion,
    form: ProseForm,
    *,
    refusal: Refusal | None = None,
    status: int = 200,
) -> HttpResponse:
    context = {
        "section": "models",
        "version": version,
        "card": card.of(version, timezone.now().date()),
        "facts": _facts(version),
        "digests": DIGESTS,
        "form": form,
        "refusal": refusal,
        "history": prose.history(version),
        "against": stewards.reason_against(person_of(request), version.model, version),
    }
    return render(request, "card.html", context, status=status)


def _facts(version: ModelVersion) -> list[tuple[str, Any]]:
    lineage, owner, author = version.lineage, version.model.owner, version.registered_by
    return [
        ("Digest", version.digest),
        (
            "Description",
            labels.description_of(version.model, version.registration) or labels.description_of(version.model),
        ),
        ("Owner", owner.get_full_name() or owner.get_username()),
        ("Author", author.get_full_name() or author.get_username()),
        ("Registered (UTC)", f"{version.registered_at:%Y-%m-%d %H:%M:%S}"),
        ("Flavour", version.flavour),
        ("Inputs", f"{len(version.schema)} features" if version.schema else ""),
        ("Run", lineage.get("run_id")),
        ("Code commit", code(lineage)),
        ("Environment lock", lineage.get("environment_digest")),
    ]


def code(lineage: dict[str, Any]) -> str:
    """Return the commit a version was made from, and whether its tree had changes."""
    commit, dirty = lineage.get("code_commit", ""), str(lineage.get("code_dirty", "")).lower()
    told = {"true": " with uncommitted changes", "false": " clean"}.get(dirty, ", unknown whether clean")
    return f"{commit}{told}" if commit else ""
