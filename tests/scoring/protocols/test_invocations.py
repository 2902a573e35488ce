"""What a client of MLflow's scoring server sees: its own writers and readers at both ends, decisions between them."""

import io
import json

import httpx
import numpy as np
import pandas as pd
import pytest
from mlflow.deployments import PredictionsResponse
from mlflow.utils.proto_json_utils import dump_input_data

from scoring import decisions
from scoring.models import Decision
from tests import builders

FRAUD = "/models/fraud/invocations"
PLACES = (1, 2, 3)
JSON = {"Content-Type": "application/json"}


@pytest.fixture(scope="module")
def own(server):
    """What our own API answers about the rows of all these stories."""
    rows = [builders.features(place) for place in PLACES]
    return [server.client.post("/api/v1/models/fraud/score", json={"features": row}).json()["score"] for row in rows]


@pytest.fixture
def recorded():
    """How many decisions a story put on record."""
    before = Decision.objects.count()
    return lambda: Decision.objects.count() - before


def frame():
    return pd.DataFrame([builders.features(place) for place in PLACES])


def bodies():
    rows = frame()
    records = [builders.features(place) for place in PLACES]
    return {
        "dataframe_split": dump_input_data(rows),
        "dataframe_records": dump_input_data(rows, inputs_key="dataframe_records"),
        "split by name": json.dumps({"dataframe_split": rows[rows.columns[::-1]].to_dict(orient="split")}),
        "inputs by column": json.dumps({"inputs": {name: [record[name] for record in records] for name in records[0]}}),
        "inputs by row": json.dumps({"inputs": records}),
        "instances": json.dumps({"instances": records}),
        "instances in order": json.dumps({"instances": [list(record.values()) for record in records]}),
    }


@pytest.mark.parametrize(
    "form",
    [
        *("dataframe_split", "dataframe_records", "split by name", "inputs by column", "inputs by row", "instances"),
        "instances in order",
    ],
)
def test_mlflows_bodies_are_read_and_its_client_reads_the_answer(ask, own, recorded, form):
    answer = ask(FRAUD, content=bodies()[form], headers=JSON)
    assert answer.status_code == 200, answer.text
    said = PredictionsResponse.from_json(answer.text)
    assert said.get_predictions("ndarray", np.float64).tolist() == own
    assert said.get_predictions()[0].tolist() == own
    assert recorded() == len(PLACES)
    kept = decisions.by_id(said["decisions"][0]["decision_id"])
    reasons = decisions.reasons_of(kept, decisions.answer_of(kept))
    assert (kept.score, said["decisions"][0]["reasons"]) == (own[0], reasons)


def test_csv_as_pandas_writes_it(ask, own, recorded):
    text = io.StringIO()
    frame().to_csv(text, index=False)
    answer = ask(FRAUD, content=text.getvalue(), headers={"Content-Type": "text/csv; charset=utf-8"})
    assert (answer.json()["predictions"], recorded()) == (own, len(PLACES))


def test_an_id_makes_it_idempotent(ask, recorded):
    row = {"inputs": [builders.features(9)]}
    for beside in ({"client_request_id": "mlflow-1"}, {"params": {"request_id": "mlflow-1"}}):
        assert ask(FRAUD, json={**row, **beside}).status_code == 200
    assert recorded() == 1
    assert Decision.objects.get(request_id="mlflow-1").entity == ""
    other = ask(FRAUD, json={"inputs": [builders.features(8)], "client_request_id": "mlflow-1"})
    assert (other.status_code, "used for other features" in other.json()["message"]) == (400, True)
    assert recorded() == 1


def test_whom_a_row_is_about_is_kept(ask):
    ask(FRAUD, json={"inputs": [builders.features(9)], "params": {"request_id": "mlflow-2", "entity": "customer 7"}})
    assert Decision.objects.get(request_id="mlflow-2").entity == "customer 7"


def test_health_and_version(server):
    for place in ("", "/models/fraud"):
        assert server.client.get(f"{place}/ping").status_code == 200
        assert server.client.get(f"{place}/health").status_code == 200
        assert server.client.get(f"{place}/version").text[:2] == "3."


def test_without_a_name_a_setting_says_which_model_answers(ask, recorded):
    answer = ask("/invocations", json={"inputs": [builders.features()]})
    assert (answer.status_code, "INVOCATIONS_MODEL" in answer.json()["message"], recorded()) == (404, True, 0)


@pytest.mark.parametrize(
    ("body", "kind", "words"),
    [
        (b"{", "application/json", "not JSON"),
        (b"[]", "application/json", "JSON object"),
        (b"{}", "application/json", "exactly one of"),
        (b'{"inputs": [], "instances": []}', "application/json", "exactly one of"),
        (b'{"inputs": []}', "application/json", "1 to 1000 rows"),
        (b'{"inputs": [[1, 2]]}', "application/json", "values each"),
        (b'{"inputs": {"amount": [1], "hour": [1, 2]}}', "application/json", "same length"),
        (b'{"dataframe_split": {"columns": ["a", "a"], "data": []}}', "application/json", "each once"),
        (b'{"dataframe_records": [5]}', "application/json", "list of objects"),
        (b'{"inputs": [{"amount": 1}]}', "application/json", "is missing"),
        (b'{"inputs": [[1]], "params": {"temperature": 1}}', "application/json", "takes no others"),
        (b"amount,amount\n1,2\n", "text/csv", "each once"),
        (b"amount\n1,2\n", "text/csv", "as many values"),
        (b"\xff", "text/csv", "no CSV"),
        (b"hour\ntwelve\n", "text/csv", "hour must be"),
        (b"PAR1", "application/vnd.apache.parquet", "is not read here"),
        (b"{}", "application/json; charset=latin-1", "UTF-8"),
    ],
)
def test_what_cannot_be_read_is_an_error_in_mlflows_form(ask, recorded, body, kind, words):
    answer = ask(FRAUD, content=body, headers={"Content-Type": kind})
    assert (answer.status_code, recorded()) == (400, 0)
    assert words in answer.json()["message"]
    assert answer.json()["error_code"]


def test_strangers_and_unknown_models(server, recorded):
    with httpx.Client(base_url=server.url, trust_env=False) as stranger:
        answer = stranger.post(FRAUD, json={})
        assert (answer.status_code, answer.json()["error_code"]) == (401, "UNAUTHENTICATED")
    answer = server.client.post("/models/nothing/invocations", json={})
    assert (answer.status_code, "No model named" in answer.json()["message"], recorded()) == (404, True, 0)


def test_a_body_in_chunks_is_read_like_any_other(ask, own):
    parts = iter([json.dumps({"inputs": [builders.features(1)]}).encode()])
    assert ask(FRAUD, content=parts, headers=JSON).json()["predictions"] == own[:1]
