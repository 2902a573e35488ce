"""How one endpoint is described: its own words and rights, and the shapes that bodies.yaml gives under its name.

Only the command that draws the document up imports this, since drf-spectacular is installed for development alone.
"""

from functools import cache
from pathlib import Path
from typing import Any

import yaml
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse

SHAPES = Path(__file__).with_name("bodies.yaml")
_TAGS = {"registry": "Registry", "scoring": "Scoring", "monitoring": "Monitoring", "governance": "Governance"}
_ERRORS = {  # who answers errors in a form of their own, by module
    "scoring.protocols.inference_api": ("OipError", "application/json"),
    "scoring.protocols.invocations_api": ("MlflowError", "application/json"),
}

_LIMITS = {
    "RateLimit": "What is left of the quota (draft-ietf-httpapi-ratelimit-headers-10).",
    "RateLimit-Policy": "The quota of a token at one scoring process.",
}


@cache
def shapes() -> dict[str, Any]:
    """Return `components` and `operations` of bodies.yaml."""
    found: dict[str, Any] = yaml.safe_load(SHAPES.read_text())
    return found


def reference(name: Any) -> Any:
    """Return a shape: a name means the component of that name, `[name]` a list of such."""
    if isinstance(name, str):
        return {"$ref": f"#/components/schemas/{name}"}
    if isinstance(name, list):
        return {"type": "array", "items": reference(name[0])}
    return name


class Described(AutoSchema):
    """The description of one method of one endpoint."""

    @property
    def key(self) -> str:
        """The name of the operation in bodies.yaml."""
        return f"{self._module}.{type(self.view).__name__}.{self.method.lower()}"

    @property
    def _module(self) -> str:
        return type(self.view).__module__

    @property
    def _said(self) -> dict[str, Any]:
        operations = shapes()["operations"]
        if self.key not in operations:
            raise LookupError(f"bodies.yaml says nothing of {self.key}: add what it takes and answers.")
        said: dict[str, Any] = operations[self.key] or {}
        return said

    def get_operation_id(self) -> str:
        """Return the method and the words of the address."""
        words = [part.strip("{}") for part in self.path.strip("/").replace(":", "/").split("/")]
        return "_".join([self.method.lower(), *words]).replace(".", "_")

    def get_tags(self) -> list[str]:
        """Return which part of the platform answers."""
        protocols = {"inference_api": "Open Inference Protocol", "invocations_api": "MLflow"}
        return [protocols.get(self._module.rpartition(".")[2], _TAGS[self._module.partition(".")[0]])]

    def get_summary(self) -> str:
        """Return the first line of the endpoint's docstring."""
        return (type(self.view).__doc__ or "").strip().splitlines()[0]

    def get_description(self) -> str:  # type: ignore[override]
        """Return the docstring of the method, and the permission that it takes."""
        lines = (getattr(self.view, self.method.lower()).__doc__ or "").strip().splitlines()
        words = "\n".join(line.strip() for line in lines)
        return words if self._needed() == "anyone" else f"{words}\n\nPermission: {self._needed()}."

    def _needed(self) -> str:
        needs: Any = self.view.needs  # type: ignore[attr-defined]
        needed = needs.get(self.method) if isinstance(needs, dict) else needs
        return " or ".join(needed) if isinstance(needed, tuple) else str(needed)

    def get_auth(self) -> list[dict[str, Any]]:
        """Return what signs the caller in."""
        if self._needed() == "anyone":
            return [{}]
        return [{"token": []}] if self._module.startswith("scoring.") else [{"token": []}, {"session": []}]

    def get_override_parameters(self) -> list[Any]:
        """Return the query parameters, and headers that mean something."""
        limits = _LIMITS if self._module.startswith("scoring.") and self._needed() != "anyone" else {}
        return [
            *(
                OpenApiParameter(name, str, said.get("in", "query"), description=said["description"])
                for name, said in self._said.get("parameters", {}).items()
            ),
            *(
                OpenApiParameter(name, str, OpenApiParameter.HEADER, description=words, response=True)
                for name, words in limits.items()
            ),
        ]

    def _get_request_body(self, direction: Any = "request") -> Any:
        """Return the body, which is required unless bodies.yaml calls it optional."""
        body = super()._get_request_body(direction)
        return body and {**body, "required": not self._said.get("optional", False)}

    def get_request_serializer(self) -> Any:
        """Return the body by media type."""
        asked = self._said.get("request")
        if asked is None:
            return None
        media = self._said.get("media", "application/json")
        return {kind: reference(asked) for kind in media} if isinstance(media, list) else {media: reference(asked)}

    def get_response_serializers(self) -> Any:
        """Return what is answered by status, and the form of every error."""
        answers: dict[Any, Any] = {
            (status, self._said.get("answers", "application/json")): OpenApiResponse(reference(shape), "Answered")
            for status, shape in self._said["responses"].items()
            if shape is not None
        }
        empty = [status for status, shape in self._said["responses"].items() if shape is None]
        answers |= {status: OpenApiResponse(None, "Done") for status in empty}
        form, media = _ERRORS.get(self._module, ("Problem", "application/problem+json"))
        return {**answers, ("default", media): OpenApiResponse(reference(form), "Refused; nothing was recorded")}
