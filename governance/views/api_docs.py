"""The description of the API: the OpenAPI document itself, and a page that shows it without any script."""

from functools import cache
from typing import Any

import yaml
from django.conf import settings
from django.http import FileResponse, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

FILE = settings.BASE_DIR / "governance" / "openapi" / "openapi.yaml"
_METHODS = ("get", "post", "put", "patch", "delete")


@require_GET
def schema(request: HttpRequest) -> FileResponse:
    """Answer the document, for programs that read it."""
    return FileResponse(FILE.open("rb"), content_type="application/yaml", filename="openapi.yaml")


@require_GET
def page(request: HttpRequest) -> HttpResponse:
    """Show every operation with what it takes and answers."""
    return render(request, "api_docs.html", {"info": _document()["info"], "parts": _parts(), "shapes": _shapes()})


@cache
def _document() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(FILE.read_text())
    return found


@cache
def _parts() -> dict[str, list[dict[str, Any]]]:
    """Return the operations by the part of the platform that answers them, in the order of their addresses."""
    found: dict[str, list[dict[str, Any]]] = {}
    for path, said in _document()["paths"].items():
        for method in (name for name in _METHODS if name in said):
            found.setdefault(said[method]["tags"][0], []).append(_operation(path, method, said[method]))
    return dict(sorted(found.items()))


def _operation(path: str, method: str, said: dict[str, Any]) -> dict[str, Any]:
    words, _, permission = said["description"].partition("\n\nPermission: ")
    return {
        "method": method.upper(),
        "path": path,
        "parts": [f"/{part}" for part in path.strip("/").split("/")],  # a line may break between them
        "summary": said["summary"],
        "words": words,
        "permission": permission.rstrip("."),
        "takes": _content(said.get("requestBody", {})),
        "answers": [(status, *shown) for status, answer in said["responses"].items() for shown in _content(answer)],
    }


def _content(said: dict[str, Any]) -> list[tuple[str, str]]:
    """Return each media type with the name of its shape."""
    return [(media, _name(body["schema"])) for media, body in said.get("content", {}).items()]


def _name(shape: dict[str, Any]) -> str:
    return str(shape.get("items", shape).get("$ref", "")).rpartition("/")[2]


@cache
def _shapes() -> list[dict[str, Any]]:
    """Return the shapes by name, each as the YAML that defines it."""
    shapes = _document()["components"]["schemas"]
    return [
        {"name": name, "text": yaml.safe_dump(shapes[name], sort_keys=False, allow_unicode=True)}
        for name in sorted(shapes)
    ]
