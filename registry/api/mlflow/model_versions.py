"""/api/2.0/mlflow/model-versions/…"""

from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response

from registry import labels
from registry.api.access import actor_of
from registry.api.mlflow import answers, named, pinned, registering, search
from registry.api.mlflow.errors import Endpoint, Mirrored
from registry.api.mlflow.fields import Fields
from registry.api.mlflow.models import free

_MOST, _PAGE = 200_000, 10_000  # what MLflow lets ask for; what is answered at once, before the next page


class Create(Mirrored):
    """model-versions/create."""

    def post(self, request: Request) -> Response:
        """Ask for the next version; a worker fetches its files, and the client waits until it is READY."""
        fields = Fields(request)
        registration = registering.version(
            model=named.model(fields),
            source=fields.required("source", longest=1000),
            run_id=fields.text("run_id", longest=64),
            logged_model=fields.text("model_id", longest=64),
            run_link=fields.text("run_link", longest=1000),
            description=fields.text("description"),
            tags=fields.tags(),
            by=actor_of(request),
            now=timezone.now(),
        )
        return Response({"model_version": answers.version(registration, self.serving)})


class Get(Mirrored):
    """model-versions/get."""

    def get(self, request: Request) -> Response:
        """Answer a version."""
        return Response({"model_version": answers.version(named.version(Fields(request)), self.serving)})


class DownloadUri(Endpoint):
    """model-versions/get-download-uri."""

    def get(self, request: Request) -> Response:
        """Answer where the registered bytes are: with us, whatever became of the source; that for want of bytes."""
        return Response({"artifact_uri": pinned.uri(named.version(Fields(request)), request)})


class Search(Mirrored):
    """model-versions/search."""

    def get(self, request: Request) -> Response:
        """Answer the versions that a filter describes, a page at a time, the newest first."""
        fields = Fields(request)
        rows = search.versions(fields.text("filter"), fields.texts("order_by"))
        size = min(fields.size(default=_PAGE, most=_MOST), _PAGE)
        found, following = search.page(rows, size, fields.text("page_token"))
        return Response({"model_versions": answers.versions(found, self.serving), "next_page_token": following})


class Update(Mirrored):
    """model-versions/update."""

    def patch(self, request: Request) -> Response:
        """Describe a version anew; what was said before stays on record."""
        fields = Fields(request)
        registration, text = named.version(fields), fields.given("description")
        labels.describe(
            model=registration.model, registration=registration, text=text, by=actor_of(request), now=timezone.now()
        )
        return Response({"model_version": answers.version(registration, self.serving)})

    post = patch


class SetTag(Endpoint):
    """model-versions/set-tag."""

    def post(self, request: Request) -> Response:
        """Set a tag of a version."""
        fields = Fields(request)
        registration = named.version(fields)
        labels.tag(
            model=registration.model,
            registration=registration,
            key=free(fields.required("key")),
            value=fields.text("value"),
            by=actor_of(request),
            now=timezone.now(),
        )
        return Response({})


class DeleteTag(Endpoint):
    """model-versions/delete-tag."""

    def delete(self, request: Request) -> Response:
        """Take a tag of a version away."""
        fields = Fields(request)
        registration = named.version(fields)
        labels.tag(
            model=registration.model,
            registration=registration,
            key=free(fields.required("key")),
            value=None,
            by=actor_of(request),
            now=timezone.now(),
        )
        return Response({})
