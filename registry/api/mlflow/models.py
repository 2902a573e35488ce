"""/api/2.0/mlflow/registered-models/…"""

from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response

from registry import labels
from registry.api.access import actor_of
from registry.api.mlflow import answers, named, registering, search
from registry.api.mlflow.errors import READ, WRITE, Endpoint, Mirrored
from registry.api.mlflow.fields import Fields
from registry.pinning import OWN
from registry.refusals import Conflict, Invalid, NotAllowed, Refusal

_MOST = 1000  # MLflow's limit on the models of a page


class Create(Mirrored):
    """registered-models/create."""

    def post(self, request: Request) -> Response:
        """Register a model; the caller owns it."""
        fields = Fields(request)
        model = registering.model(
            name=fields.required("name"),
            description=fields.text("description"),
            tags=fields.tags(),
            by=actor_of(request),
            now=timezone.now(),
        )
        return Response({"registered_model": answers.model(model, self.serving)})


class Get(Mirrored):
    """registered-models/get."""

    def get(self, request: Request) -> Response:
        """Answer a model."""
        model = named.model(Fields(request))
        return Response({"registered_model": answers.model(model, self.serving)})


class Search(Mirrored):
    """registered-models/search."""

    def get(self, request: Request) -> Response:
        """Answer the models that a filter describes, a page at a time."""
        fields = Fields(request)
        rows = search.models(fields.text("filter"), fields.texts("order_by"))
        size = fields.size(default=100, most=_MOST)
        found, following = search.page(rows, size, fields.text("page_token"))
        return Response({"registered_models": answers.models(found, self.serving), "next_page_token": following})


class Update(Mirrored):
    """registered-models/update."""

    def patch(self, request: Request) -> Response:
        """Describe a model anew; what was said before stays on record."""
        fields = Fields(request)
        model, text = named.model(fields), fields.given("description")
        labels.describe(model=model, registration=None, text=text, by=actor_of(request), now=timezone.now())
        return Response({"registered_model": answers.model(model, self.serving)})

    post = patch


class Latest(Mirrored):
    """registered-models/get-latest-versions."""

    needs = READ

    def get(self, request: Request) -> Response:
        """Answer the newest version, which has no stage; none for a stage that is asked by name."""
        fields = Fields(request)
        model = named.model(fields)
        stages = fields.texts("stages")
        known = not stages or "none" in [stage.lower() for stage in stages]
        return Response({"model_versions": answers.model(model, self.serving)["latest_versions"] if known else []})

    post = get


class SetTag(Endpoint):
    """registered-models/set-tag."""

    def post(self, request: Request) -> Response:
        """Set a tag of a model."""
        fields = Fields(request)
        labels.tag(
            model=named.model(fields),
            registration=None,
            key=free(fields.required("key")),
            value=fields.text("value"),
            by=actor_of(request),
            now=timezone.now(),
        )
        return Response({})


class DeleteTag(Endpoint):
    """registered-models/delete-tag."""

    def delete(self, request: Request) -> Response:
        """Take a tag of a model away."""
        fields = Fields(request)
        labels.tag(
            model=named.model(fields),
            registration=None,
            key=free(fields.required("key")),
            value=None,
            by=actor_of(request),
            now=timezone.now(),
        )
        return Response({})


class Never(Endpoint):
    """What MLflow allows and an immutable registry does not."""

    needs = WRITE
    kind: type[Refusal] = NotAllowed
    detail = "This is never done here."

    def post(self, request: Request) -> Response:
        """Refuse, and say what to do instead."""
        raise self.kind(self.detail)

    patch = delete = post


def free(key: str) -> str:
    """Return a tag's key; Conflict when it belongs to the record, Invalid when it would make a prompt of a model."""
    if key == search.IS_PROMPT:
        raise Invalid("Prompts are not registered here, only models.")
    if key.startswith(OWN):
        raise Conflict(f"{key} repeats what was fixed at registration and cannot be changed. Register a new version.")
    return key
