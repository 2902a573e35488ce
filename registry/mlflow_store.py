"""A plugin of `mlflow server`: `--registry-store-uri countersign+https://HOST` passes registry calls on to us.

So clients keep one URL, and we stay the authority: nothing is kept on that server, and every refusal is ours. Who calls
is told by their own token (`Authorization: Bearer csn_…`, as MLFLOW_TRACKING_TOKEN sends it), passed on as it came. Of
a caller without one, that server answers for itself, with the token in its COUNTERSIGN_TOKEN: everybody behind it then
is one service account, so give that one no more than all of them may do.
"""

import os
from functools import partial
from typing import Any

import flask
from mlflow.entities.model_registry import ModelVersionTag, RegisteredModelTag
from mlflow.exceptions import MlflowException, RestException
from mlflow.protos.databricks_pb2 import ErrorCode
from mlflow.store.entities.paged_list import PagedList
from mlflow.store.model_registry.rest_store import RestStore
from mlflow.utils.credentials import get_default_host_creds
from mlflow.utils.rest_utils import MlflowHostCreds

_SCHEME = "countersign+"
_OURS = "csn_"  # how each of our tokens begins
_FINAL = {"INVALID_STATE": 409, "DATA_LOSS": 409}  # 500 in MLflow, which clients would repeat for minutes


class Refusal(MlflowException):
    """What we refused, passed on with our words and a status that no client repeats."""

    def __init__(self, refused: RestException) -> None:
        super().__init__(refused.json.get("message", ""), error_code=ErrorCode.Value(refused.error_code))

    def get_http_status_code(self) -> int:
        """Return the status that our own server answers with."""
        known: int = super().get_http_status_code()
        return _FINAL.get(self.error_code, known)


class Store(RestStore):
    """The registry behind `countersign+https://HOST` (or `countersign+http://`)."""

    def __init__(self, store_uri: str, tracking_uri: str | None = None) -> None:
        super().__init__(partial(_credentials, store_uri.removeprefix(_SCHEME)))

    def create_registered_model(self, name: str, tags: Any = None, *given: Any, **more: Any) -> Any:
        """Register a model: that server hands over tags as messages, where the client's store wants entities."""
        made = [RegisteredModelTag(tag.key, tag.value) for tag in tags or ()]
        return super().create_registered_model(name, made, *given, **more)

    def create_model_version(
        self, name: str, source: str, run_id: str | None = None, tags: Any = None, *given: Any, **more: Any
    ) -> Any:
        """Register a version: of its tags the same is true."""
        made = [ModelVersionTag(tag.key, tag.value) for tag in tags or ()]
        return super().create_model_version(name, source, run_id, made, *given, **more)

    def _call_endpoint(self, *given: Any, **more: Any) -> Any:
        return _passed_on(super()._call_endpoint, *given, **more)

    def _call_webhook_endpoint(self, *given: Any, **more: Any) -> Any:
        return _passed_on(super()._call_webhook_endpoint, *given, **more)

    def list_webhooks_by_event(self, *given: Any, **more: Any) -> PagedList:
        """Return none to that server, which would deliver to them: we do, from the log."""
        return PagedList([], None)


def _passed_on(call: Any, *given: Any, **more: Any) -> Any:
    try:
        return call(*given, **more)
    except RestException as refused:
        raise Refusal(refused) from refused


def _credentials(host: str) -> MlflowHostCreds:
    """Return who calls, anew for each call."""
    token = _callers_token() or os.environ.get("COUNTERSIGN_TOKEN", "")
    return MlflowHostCreds(host=host, token=token) if token else get_default_host_creds(host)


def _callers_token() -> str:
    if not flask.has_request_context():
        return ""
    scheme, _, token = flask.request.headers.get("Authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" and token.strip().startswith(_OURS) else ""
