"""An inference request of the Open Inference Protocol V2, and its response: bytes in, tensors, bytes out.

Source: https://github.com/kserve/open-inference-protocol, with Triton's binary tensor data extension.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from registry.refusals import Invalid
from scoring.protocols import bodies, tensors
from scoring.protocols.bodies import Malformed
from scoring.protocols.tensors import Tensor

# What is answered about each row: name → datatype. The score is first, since simple clients look there.
OUTPUTS = {
    "score": "FP64",
    "band": "BYTES",
    "action": "BYTES",
    "decision_id": "BYTES",
    "reasons": "BYTES",
    "fallback": "BYTES",
}
_KEYS = {"id", "parameters", "inputs", "outputs", "model_name", "model_version"}  # KServe's client adds the last two


@dataclass(frozen=True)
class Asked:
    """What a request says. `outputs`: names in the order asked for, and whether each is wished in binary form."""

    inputs: list[Tensor]
    outputs: dict[str, bool]
    id: str | None = None
    parameters: dict[str, Any] = field(default_factory=dict)


def read(data: bytes, header_length: str | None) -> Asked:
    """Return what a body asks; Malformed says what cannot be read."""
    head, tail = bodies.cut(data, header_length)
    body = bodies.parsed(head)
    if "inputs" not in body or set(body) - _KEYS:
        raise Malformed("Send an object with `inputs`, and if you like `id`, `parameters`, `outputs`.")
    inputs, parameters, identity = body["inputs"], body.get("parameters"), body.get("id")
    if not isinstance(inputs, list):
        raise Malformed("`inputs` is a list of tensors.")
    if not isinstance(parameters, dict | None):
        raise Malformed("`parameters` is an object.")
    if not isinstance(identity, str | None):
        raise Malformed("`id` is a text.")
    rest = tensors.Tail(tail)
    read_ = [tensors.read(said, rest) for said in inputs]
    rest.end()
    given = parameters or {}
    return Asked(read_, _outputs(body.get("outputs"), given.get("binary_data_output") is True), identity or None, given)


def _outputs(said: Any, binary: bool) -> dict[str, bool]:
    if not said and isinstance(said, list | None):
        return dict.fromkeys(OUTPUTS, binary)
    if not isinstance(said, list):
        raise Malformed("`outputs` is a list of objects with a name.")
    wished = dict(_output(item, binary) for item in said)
    if len(wished) != len(said):
        raise Malformed("An output is asked for twice.")
    return wished


def _output(item: Any, binary: bool) -> tuple[str, bool]:
    if not isinstance(item, dict) or not isinstance(item.get("name"), str) or set(item) - {"name", "parameters"}:
        raise Malformed("An output is an object with a name; parameters are optional.")
    parameters = item.get("parameters", {})
    if not isinstance(parameters, dict):
        raise Malformed(f"The parameters of output {item['name'][:100]!r} are an object.")
    if item["name"] not in OUTPUTS:
        raise Invalid(f"There is no output {item['name'][:100]!r}; there are {', '.join(OUTPUTS)}.")
    if "classification" in parameters or any(key.startswith("shared_memory") for key in parameters):
        raise Invalid("Outputs come neither as classes nor through shared memory here.")
    return item["name"], parameters.get("binary_data", binary) is True


def written(asked: Asked, decided: Sequence[dict[str, Any]]) -> tuple[bytes, int | None]:
    """Return the body of the answer, and the length of its JSON where binary tensors follow it.

    A row that was answered by its package's fallback has no score: null in JSON, NaN in the binary form.
    """
    said, tails = [], []
    for name, binary in asked.outputs.items():
        values = [_value(name, row) for row in decided]
        output: dict[str, Any] = {"name": name, "shape": [len(decided)], "datatype": OUTPUTS[name]}
        if binary:
            tails.append(tensors.packed(OUTPUTS[name], values))
            said.append({**output, "parameters": {"binary_data_size": len(tails[-1])}})
        else:
            said.append({**output, "data": values})
    first = decided[0]
    answer = {"model_name": first["model"], "model_version": str(first["version"]), "outputs": said}
    head = orjson.dumps(answer if asked.id is None else {**answer, "id": asked.id})
    return b"".join([head, *tails]), len(head) if tails else None


def _value(name: str, row: dict[str, Any]) -> Any:
    """Return what a decision says under the name of an output: a number for the score, else a text."""
    value = row[name]
    if name == "score":
        return value
    return orjson.dumps(value).decode() if name == "reasons" else str(value or "")
