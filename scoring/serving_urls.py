"""What the scoring process answers, and nothing else."""

import scoring.lean  # noqa: F401, I001 - must come before anything that imports lightgbm

from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import include, path

from registry.api.problems import bad_request, broken, not_found
from registry.refusals import Unavailable
from scoring.protocols.inference_api import in_form
from scoring import admission, afterwards, api, contact, shedding, vigil  # noqa: F401 - governance.wsgi begins with these


def ready(request: HttpRequest) -> HttpResponse:
    """Say whether this process answers: every champion is verified, loaded and warm; else 503 with what is missing."""
    missing = vigil.unready()
    return JsonResponse(
        {"status": "starting", "missing": missing} if missing else {"status": "ok"}, status=503 if missing else 200
    )


def health(request: HttpRequest) -> HttpResponse:
    """Say whether decisions are accepted; red (503) with the reason when they are not.

    `journalling`: the database is gone, and decisions are kept until it is back. How long ago it last said what counts
    stands beside it.
    """
    told = vigil.figures()
    try:
        admission.demand()
    except Unavailable as refusal:
        return JsonResponse({"status": "red", "detail": refusal.detail, **told}, status=503)
    except DatabaseError:
        return JsonResponse({"status": "unavailable", "database": "unreachable", **told}, status=503)
    if faults := vigil.faults():
        return JsonResponse({"status": "red", "detail": " ".join(faults), **told}, status=503)
    return JsonResponse({"status": "journalling" if contact.gone() else "ok", **told})


urlpatterns = [
    path("ready", ready),
    path("health", health),
    path("api/v1/models/<str:name>/score", api.Score.as_view()),
    path("api/v1/models/<str:name>/score:batch", api.ScoreBatch.as_view()),
    path("api/v1/decisions/<uuid:decision_id>", api.DecisionDetail.as_view()),
    path("api/v1/outcomes", api.Outcomes.as_view()),
    *afterwards.routes,
    path("", include("scoring.protocols.routes")),
]
handler400 = in_form(bad_request)
handler404 = in_form(not_found)
handler500 = in_form(broken)
