"""KServe's REST client, unchanged, in an environment of its own: asks in both its forms and prints the answers."""

import asyncio
import json
import sys

import httpx
import numpy as np
from kserve import InferenceRESTClient, InferInput, InferRequest, RESTConfig

TYPES = {"FP64": np.float64, "INT64": np.int64, "BOOL": np.bool_, "BYTES": np.object_}


def request(columns, binary, identity=None):
    """Return the client's request for columns of (name, datatype, values)."""
    made = []
    for name, datatype, values in columns:
        tensor = InferInput(name, [len(values)], datatype)
        plain = [np.nan if value is None else value for value in values]
        tensor.set_data_from_numpy(np.array(plain, TYPES[datatype]), binary_data=binary)
        made.append(tensor)
    return InferRequest("fraud", made, request_id=identity)


async def main():
    told = json.load(sys.stdin)
    headers, url = {"Authorization": f"Bearer {told['token']}"}, told["url"]
    async with InferenceRESTClient(RESTConfig(protocol="v2", retries=0)) as client:

        async def infer(*given):
            return await client.infer(url, request(*given), model_name="fraud", headers=headers)

        found = {
            "live": await client.is_server_live(url),
            "ready": await client.is_server_ready(url),
            "model ready": await client.is_model_ready(url, "fraud", headers=headers),
            "no such model ready": await client.is_model_ready(url, "nothing", headers=headers),
        }
        for form, binary in (("json", False), ("binary", True)):
            answers = [await infer(told["columns"], binary, f"kserve-{form}") for _ in range(2)]
            found[form] = [{o.name: o.as_numpy().tolist() for o in answer.outputs}["score"] for answer in answers]
            found[f"{form} id"] = [answer.id for answer in answers]
        try:
            await infer(told["lacking"], True)
        except httpx.HTTPStatusError as error:
            found["error"] = [error.response.status_code, str(error)]
    print(json.dumps(found))


asyncio.run(main())
