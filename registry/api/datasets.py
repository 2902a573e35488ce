"""/api/v1/datasets: send a file of rows, read what is known of it, say how long it is kept."""

from typing import Any

import orjson
from django.conf import settings
from django.core.files.uploadedfile import UploadedFile
from django.utils import timezone
from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from registry import column_roles, datasets, retention, snapshots
from registry.api.access import actor_of
from registry.models import Dataset
from registry.refusals import Invalid, TooLarge

READ, WRITE = "registry.read", "registry.register_version"
_PAGE = 200


class Datasets(APIView):
    """The data sets."""

    needs = {"GET": READ, "POST": WRITE}
    parser_classes = [MultiPartParser]

    def get(self, request: Request) -> Response:
        """Answer the newest data sets, 200 at most; `name` is a part of theirs."""
        rows = Dataset.objects.filter(name__icontains=text(request.query_params, "name")).order_by("-registered_at")
        return Response({"datasets": [_short(row) for row in rows[:_PAGE]]})

    def post(self, request: Request) -> Response:
        """Register a file, Parquet, Arrow or CSV: multipart with `file`, `columns` (JSON) and `name`.

        It waits on the disk, is read in pieces, and never whole in memory.
        """
        file = _file(request)
        name = text(request.data, "name")
        if not 0 < len(name) <= 120:
            raise Invalid(
                "Send multipart/form-data with `file`, `columns` (JSON) and `name` of at most 120 characters."
            )
        columns = _columns(text(request.data, "columns"))
        dataset = datasets.register(data=file, name=name, columns=columns, by=actor_of(request), now=timezone.now())
        return Response(_short(dataset), status=201)


class Guess(APIView):
    """What the columns of a file may be."""

    needs = WRITE
    parser_classes = [MultiPartParser]

    def post(self, request: Request) -> Response:
        """Answer a role for each column of `file`, to be looked at and sent with it as `columns`; nothing is kept."""
        with snapshots.taken(_file(request)) as snapshot:
            return Response({"rows": snapshot.rows, "columns": column_roles.guess(snapshot.profile, {})})


class DatasetByDigest(APIView):
    """One data set."""

    needs = READ

    def get(self, request: Request, digest: str) -> Response:
        """Answer what is known of a data set."""
        dataset = _dataset(digest)
        given = retention.of(dataset)
        kept = {"retention": given.name if given else None, "keep_until": retention.until(dataset, given)}
        made_of = {"format": dataset.format, "original": dataset.original or None}
        return Response({**_short(dataset), **made_of, **kept, "columns": dataset.columns})


class Statistics(APIView):
    """What the columns of a data set hold."""

    needs = READ

    def get(self, request: Request, digest: str) -> Response:
        """Answer what was measured when it was registered; of columns that name somebody, only counts."""
        found = datasets.statistics(_dataset(digest))
        return Response({"code": found.code, "digest": found.digest, **found.content})


class Preview(APIView):
    """The first rows of a data set."""

    needs = READ

    def get(self, request: Request, digest: str) -> Response:
        """Answer some rows; values of `masked` columns only to those who may see them."""
        return Response(datasets.preview(_dataset(digest), unmasked=may_see(request)))


class Retention(APIView):
    """How long a data set is to be kept."""

    needs = {"GET": READ, "POST": WRITE}

    def get(self, request: Request, digest: str) -> Response:
        """Answer the class, who gave it when, and those before it, newest first."""
        given = _dataset(digest).retentions.select_related("set_by").order_by("-set_at", "-id")
        history = [
            {"class": row.name, "by": row.set_by.username, "at": row.set_at, "reason": row.reason} for row in given
        ]
        return Response({"history": history, "classes": retention.classes()})

    def post(self, request: Request, digest: str) -> Response:
        """Give it a class: `class`, and optionally a `reason`."""
        body = request.data
        if not isinstance(body, dict) or set(body) - {"class", "reason"} or "class" not in body:
            raise Invalid("Send an object with `class`; optional: `reason`.")
        given = {"name": text(body, "class"), "reason": text(body, "reason")}
        made = retention.assign(dataset=_dataset(digest), by=actor_of(request), now=timezone.now(), **given)
        return Response({"class": made.name, "at": made.set_at}, status=201)


def may_see(request: Any) -> bool:
    """Say whether who asks may see restricted columns: by a role and, with a token, by its scopes."""
    token = getattr(request, "auth", None)
    right = "registry.see_restricted"
    return bool(request.user.has_perm(right)) and (token is None or right in token.scopes)


def _file(request: Request) -> UploadedFile:
    if int(request.headers.get("Content-Length") or 0) > settings.UPLOAD_LIMIT:
        raise TooLarge(
            f"An upload has at most {settings.UPLOAD_LIMIT:,} bytes. Send it as Parquet, which is smaller, or let "
            "somebody at the server run `manage.py import_dataset`, which takes any size."
        )
    file = request.FILES.get("file")
    if not isinstance(file, UploadedFile):
        raise Invalid("Send multipart/form-data with `file`: Parquet, Arrow or CSV.")
    return file


def _dataset(digest: str) -> Dataset:
    return datasets.by_digest(text({"digest": digest}, "digest"))


def _short(dataset: Dataset) -> dict[str, Any]:
    return {
        "digest": dataset.digest,
        "name": dataset.name,
        "rows": dataset.rows,
        "registered_at": dataset.registered_at,
    }


def text(body: Any, name: str) -> str:
    """Return a text out of what was sent; empty where none was."""
    value = body.get(name, "")
    if not isinstance(value, str) or "\0" in value:
        raise Invalid(f"`{name}` must be a text.")
    return value


def _columns(said: str) -> list[dict[str, Any]]:
    if not said:
        raise Invalid(
            "Say what the columns are: `columns` is a JSON list of objects with name and role. What they may be is "
            "answered by POST /api/v1/datasets/guess with the same file; look at it, correct it, send it."
        )
    try:
        columns = orjson.loads(said)
    except orjson.JSONDecodeError as error:
        raise Invalid(f"`columns` is not JSON: {error}.") from error
    if not isinstance(columns, list) or not all(isinstance(item, dict) and _words(item) for item in columns):
        raise Invalid("`columns` is a list of objects with name, role, and if needed kind, nullable, categories.")
    return columns


def _words(item: dict[str, Any]) -> bool:
    categories = item.get("categories", [])
    return isinstance(categories, list) and all(isinstance(word, str) for word in categories)
