"""Stock clients of the protocol are served unchanged: each runs as it was installed, in an environment of its own."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from scoring.models import Decision
from tests import builders, running
from tests.scoring.protocols.test_inference import TYPES

PYTHON = running.ROOT / ".venv" / "clients" / "bin" / "python"
HERE = Path(__file__).parent / "clients"
PLACES = (1, 2, 3)

pytestmark = pytest.mark.skipif(not PYTHON.exists(), reason="no stock clients installed: make .venv/.clients")


@pytest.fixture(scope="module")
def told(server, story):
    """What a client is to ask: rows in columns, some without a value; and what our own API answers."""
    rows = [builders.features(place) for place in PLACES]
    columns = [
        (column.name, TYPES[column.kind], [row[column.name] for row in rows])
        for column in builders.trained().schema.columns
    ]
    lacking = [column for column in columns if column[0] != "hour"]
    own = [server.client.post("/api/v1/models/fraud/score", json={"features": row}).json()["score"] for row in rows]
    place = {"url": server.url, "host": server.url.removeprefix("http://"), "token": server.token}
    return {**place, "columns": columns, "lacking": lacking, "version": str(story.champion.number)}, own


def run(name, told):
    env = {key: value for key, value in os.environ.items() if "proxy" not in key.lower()}
    done = subprocess.run(
        [PYTHON, HERE / name], input=json.dumps(told), capture_output=True, text=True, check=False, env=env
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def test_tritonclient_is_served(told):
    asked, own = told
    before = Decision.objects.count()
    found = run("triton.py", asked)
    assert [found[name] for name in ("live", "ready", "model ready", "no such model ready")] == [
        True,
        True,
        True,
        False,
    ]
    assert {name: found[name] for name in ("binary", "json", "version", "gzip", "deflate", "async")} == dict.fromkeys(
        ("binary", "json", "version", "gzip", "deflate", "async"), own
    )
    assert found["id"] == ["triton-1", "triton-1"]
    assert found["decisions"][0] == found["decisions"][1]
    assert [item["name"] for item in found["model"]["inputs"]] == [name for name, _, _ in asked["columns"]]
    assert "binary_tensor_data" in found["server"]["extensions"]
    (first, words), (second, others) = found["errors"]
    assert (first, "is missing" in words, second, "No model named" in others) == ("422", True, "404", True)
    assert Decision.objects.count() == before + 7 * len(PLACES)


def test_kserves_client_is_served(told):
    asked, own = told
    before = Decision.objects.count()
    found = run("kserve_rest.py", asked)
    assert [found[name] for name in ("live", "ready", "model ready", "no such model ready")] == [
        True,
        True,
        True,
        False,
    ]
    assert (found["json"], found["binary"]) == ([own, own], [own, own])
    assert (found["json id"], found["binary id"]) == (["kserve-json"] * 2, ["kserve-binary"] * 2)
    status, words = found["error"]
    assert (status, "is missing" in words) == (422, True)
    assert Decision.objects.count() == before + 2 * len(PLACES)
