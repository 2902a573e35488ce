"""The same worker, view and runtime without explanation and record: what is left to compare with score-only servers."""

from scoring.serving_urls import (  # noqa: F401, I001 - all that the scoring process loads, in its order
    handler400,
    handler404,
    handler500,
    ready,
    shedding,
    vigil,
)

from django.urls import path
from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response

from registry.api.direct import Direct
from registry.refusals import Unavailable
from scoring import api, asking, serving


class Only(Direct):
    """A score and nothing else."""

    needs = "scoring.score"

    def post(self, request: Request, name: str) -> Response:
        """Answer the score of one row."""
        body = request.data
        served = serving.champion(name, now=timezone.now())
        if served.runtime is None:
            raise Unavailable("There is no model to score with.")
        asked = asking.read(served.schema, features=body["features"], now=timezone.now())
        return Response({"score": float(served.runtime.score(asked.vector[None]).score[0])})


api.Score = Only  # the short way to a score goes to this view by its name
urlpatterns = [path("ready", ready), path("api/v1/models/<str:name>/score", Only.as_view())]
