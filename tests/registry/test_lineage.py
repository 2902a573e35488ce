"""What a run's inputs become: stock MLflow's own JSON in, plain lineage out, whatever a stranger puts there."""

import json

import mlflow.data
import pandas as pd
import pytest
from mlflow.entities import DatasetInput, InputTag

from registry import lineage

SHA = "ab" * 32


def logged(context: str, source: str = "payments.parquet", **tags) -> dict:
    """A dataset input as a stock client sends it and `runs/get` answers it."""
    frame = pd.DataFrame({"amount": [1.5, 2.0], "label": [0, 1]})
    made = mlflow.data.from_pandas(frame, source=source, targets="label", name="payments")._to_mlflow_entity()
    given = [InputTag(lineage.CONTEXT, context), *(InputTag(key.replace("_", "."), text) for key, text in tags.items())]
    answer = DatasetInput(made, given).to_dictionary()
    return {"dataset": answer["dataset"], "tags": [{"key": tag.key, "value": tag.value} for tag in given]}


def run(*inputs, models=(), **tags) -> dict:
    data = {"tags": [{"key": key, "value": value} for key, value in tags.items()]}
    return {"data": data, "inputs": {"dataset_inputs": list(inputs), "model_inputs": [{"model_id": m} for m in models]}}


def test_a_data_set_that_a_stock_client_logged_is_kept_with_rows_and_columns():
    found = lineage.of_run(run(logged("training")))["datasets"]
    assert len(found) == 1
    assert found[0]["name"] == "payments"
    assert found[0]["rows"] == 2
    assert found[0]["context"] == "training"
    assert {column["name"] for column in found[0]["columns"]} == {"amount", "label"}
    assert len(found[0]["digest"]) == 8
    assert "sha256" not in found[0]


def test_an_input_names_a_registered_data_set_by_its_tag_or_by_its_address():
    inputs = [
        logged("training", countersign_digest=f"sha256:{SHA}"),
        logged("validation", source=f"http://127.0.0.1:8000/api/v1/datasets/{'cd' * 32}"),
        logged("shopping", countersign_digest="ef" * 32),
    ]
    found = lineage.of_run(run(*inputs))["datasets"]
    assert lineage.registered(found) == {"training": SHA, "holdout": "cd" * 32}


def test_upstream_models_come_from_what_was_read_and_from_the_tag():
    told = lineage.of_run(run(models=["m-1"], **{lineage.UPSTREAM: "embeddings/3, models:/m-2,, m-1"}))
    assert told == {"upstream": ["m-1", "embeddings/3", "m-2"]}


@pytest.mark.parametrize(
    ("address", "kept"),
    [
        ("https://ada:secret@git.example/fraud.git", "https://git.example/fraud.git"),
        ("git@git.example:team/fraud.git", "ssh://git.example/team/fraud.git"),
        ("file:///home/ada/fraud", ""),
        ("https://[bad", ""),
        ("", ""),
    ],
)
def test_a_repository_is_kept_without_anybodys_password(address, kept):
    assert lineage.of_run(run(**{lineage.REPOSITORY: address})).get("code_url", "") == kept


@pytest.mark.parametrize(
    "strange",
    [
        {},
        {"inputs": None},
        {"inputs": []},
        {"inputs": {"dataset_inputs": "x"}},
        {"inputs": {"dataset_inputs": [None, 3, {"dataset": "x", "tags": 7}]}},
        {"inputs": {"dataset_inputs": [{"dataset": {"name": 3, "profile": "[", "schema": "{}"}}]}},
        {"inputs": {"dataset_inputs": [{"dataset": {"profile": json.dumps({"num_rows": -1})}}]}},
        {"inputs": {"model_inputs": [{"model_id": None}]}, "data": {"tags": [{"key": 1}]}},
    ],
)
def test_what_is_no_input_is_left_out(strange):
    found = lineage.of_run(strange)
    assert all(not item for item in found.get("datasets", ()))
    assert not found.get("upstream")


def test_what_a_run_says_is_bounded():
    long = logged("training", source="x" * 9000)
    long["dataset"]["schema"] = json.dumps({"mlflow_colspec": [{"name": f"c{i}", "type": "long"} for i in range(9000)]})
    found = lineage.of_run(run(*[long] * 400))["datasets"]
    assert len(found) == 50
    assert len(found[0]["columns"]) == 500
    assert len(found[0]["source"]) <= 500
