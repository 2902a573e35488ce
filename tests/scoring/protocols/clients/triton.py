"""NVIDIA's client, unchanged, in an environment of its own: asks in every way it knows and prints what it was told."""

import json
import sys

import numpy as np
import tritonclient.http as triton
from tritonclient.utils import InferenceServerException

TYPES = {"FP64": np.float64, "INT64": np.int64, "BOOL": np.bool_, "BYTES": np.object_}


def inputs(columns, binary):
    """Return the client's tensors of columns of (name, datatype, values)."""
    made = []
    for name, datatype, values in columns:
        tensor = triton.InferInput(name, [len(values)], datatype)
        plain = [np.nan if value is None else value for value in values]
        tensor.set_data_from_numpy(np.array(plain, TYPES[datatype]), binary_data=binary)
        made.append(tensor)
    return made


def main():
    told = json.load(sys.stdin)
    client, headers = triton.InferenceServerClient(told["host"]), {"Authorization": f"Bearer {told['token']}"}
    kept = {"headers": headers}

    def scores(columns, binary=True, **more):
        answer = client.infer("fraud", inputs(columns, binary), headers=dict(headers), **more)
        return answer.as_numpy("score").tolist()

    columns = told["columns"]
    found = {
        "live": client.is_server_live(),
        "ready": client.is_server_ready(),
        "model ready": client.is_model_ready("fraud", **kept),
        "no such model ready": client.is_model_ready("nothing", **kept),
        "server": client.get_server_metadata(),
        "model": client.get_model_metadata("fraud", **kept),
        "binary": scores(columns),
        "json": scores(columns, binary=False, outputs=[triton.InferRequestedOutput("score", binary_data=False)]),
        "version": scores(columns, model_version=told["version"]),
        "gzip": scores(columns, request_compression_algorithm="gzip", response_compression_algorithm="gzip"),
        "deflate": scores(columns, request_compression_algorithm="deflate", response_compression_algorithm="deflate"),
        "async": client.async_infer("fraud", inputs(columns, True), headers=dict(headers))
        .get_result()
        .as_numpy("score")
        .tolist(),
    }
    answers = [client.infer("fraud", inputs(columns, True), request_id="triton-1", **kept) for _ in range(2)]
    found["id"] = [answer.get_response()["id"] for answer in answers]
    found["decisions"] = [[text.decode() for text in answer.as_numpy("decision_id")] for answer in answers]
    found["errors"] = []
    for model, wrong in (("fraud", told["lacking"]), ("nothing", columns)):
        try:
            client.infer(model, inputs(wrong, True), **kept)
        except InferenceServerException as error:
            found["errors"].append([error.status(), error.message()])
    print(json.dumps(found))


main()
