"""The whole document: the endpoints of the pages' process and of the scoring process, with what they share."""

import re
from importlib import metadata
from pathlib import Path
from typing import Any

import yaml
from drf_spectacular import generators
from drf_spectacular.settings import spectacular_settings
from drf_spectacular.validation import validate_schema
from rest_framework.views import APIView

from governance.openapi import described

FILE = Path(__file__).with_name("openapi.yaml")
_INFO = (
    "The API of Countersign. A refusal says what, why and what next (RFC 9457), and nothing is recorded then. MLflow's "
    "REST API, which is spoken too, is described by MLflow."
)
_SCORING = "http://127.0.0.1:8001"
_SETTINGS = {
    "TITLE": "Countersign",
    "DESCRIPTION": _INFO,
    "OAS_VERSION": "3.1.0",
    "POSTPROCESSING_HOOKS": [],
    "PREPROCESSING_HOOKS": ["governance.openapi.document.ours"],
    "SERVERS": [{"url": "http://127.0.0.1:8000", "description": "PUBLIC_URL: pages, registry and governance"}],
    "LICENSE": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
}
_SECURITY = {
    "token": {"type": "http", "scheme": "bearer", "description": "A service token, `csn_…`, with the scopes it needs."},
    "session": {"type": "apiKey", "in": "cookie", "name": "sessionid", "description": "Somebody signed in; with CSRF."},
}


def ours(endpoints: list[tuple[str, str, str, Any]]) -> list[tuple[str, str, str, Any]]:
    """Leave out what MLflow describes, and write optional parts of an address as they are asked for."""
    kept = [item for item in endpoints if "mlflow" not in item[0] and item[3].cls.__name__ != "Nothing"]
    return [(re.sub(r"/\?$", "", path), regex, method, view) for path, regex, method, view in kept]


def generate() -> dict[str, Any]:
    """Return the document, valid by the schema of OpenAPI 3.1 itself."""
    spectacular_settings.apply_patches({**_SETTINGS, "VERSION": metadata.version("countersign")})
    APIView.schema = described.Described()  # type: ignore[assignment]
    pages, scoring = (_part(urls) for urls in ("governance.urls", "scoring.serving_urls"))
    here = {"servers": [{"url": _SCORING, "description": "SCORING_URL: the scoring process"}]}
    alone = {path: {**here, **said} for path, said in scoring["paths"].items() if path not in pages["paths"]}
    made: dict[str, Any] = {**pages, "paths": dict(sorted((pages["paths"] | alone).items()))}
    made["components"] = {"schemas": described.shapes()["components"], "securitySchemes": _SECURITY}
    validate_schema(made)
    return made


def _part(urls: str) -> dict[str, Any]:
    found: dict[str, Any] = generators.SchemaGenerator(urlconf=urls).get_schema(request=None, public=True)
    return found


def text() -> str:
    """Return the document as it is kept."""
    made: str = yaml.safe_dump(generate(), sort_keys=False, allow_unicode=True, width=120)
    return made
