"""One table of errors: every refusal has MLflow's form, and none that is final asks the client to try again."""

import inspect

import pytest
from mlflow.utils.request_utils import _TRANSIENT_FAILURE_RESPONSE_CODES

from registry import refusals
from registry.api.mlflow import errors

KINDS = [kind for _, kind in inspect.getmembers(refusals, inspect.isclass) if issubclass(kind, refusals.Refusal)]
KINDS += [errors.Exists, errors.NoEndpoint]


@pytest.mark.parametrize("kind", KINDS)
def test_a_refusal_is_told_in_mlflows_form(kind):
    answer = errors.answer(kind("No. Do this instead."), {})
    assert set(answer.data) == {"error_code", "message"}
    assert answer.data["message"] == "No. Do this instead."
    assert answer.data["error_code"].isupper()


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind is not refusals.Unavailable])
def test_a_client_does_not_repeat_what_was_refused(kind):
    status = errors.answer(kind("No."), {}).status_code
    assert 400 <= status < 500
    assert status not in _TRANSIENT_FAILURE_RESPONSE_CODES
