"""A stock client logs which data a run read; the version that comes of it knows them."""

import mlflow
import pandas as pd

from registry import lineage
from tests.logged import ROWS, read
from tests.registry.test_mlflow_client import send_dataset


def test_what_a_run_logged_as_its_inputs_is_lineage_and_registered_data_sets_are_found(
    platform, ada_client, booster, name
):
    digest = send_dataset(platform)
    with mlflow.start_run():
        known = mlflow.data.from_pandas(ROWS, source=f"{platform.url}/api/v1/datasets/{digest}", name="payments")
        mlflow.log_input(known, context="training")
        other = mlflow.data.from_pandas(pd.DataFrame({"clicks": [1, 2]}), name="clicks")
        mlflow.log_input(other, context="validation", tags={"team": "web"})
        mlflow.set_tag(lineage.UPSTREAM, "embeddings/3")
        mlflow.lightgbm.log_model(booster, name="model", input_example=ROWS.head(2), registered_model_name=name)
    kept = read(platform, f"/api/v1/models/{name}/versions/1")
    assert kept["data"] == {"training": digest}
    logged = {item["name"]: item for item in kept["lineage"]["datasets"]}
    assert logged["payments"]["sha256"] == digest
    assert logged["payments"]["rows"] == len(ROWS)
    assert logged["clicks"]["context"] == "validation"
    assert logged["clicks"]["columns"] == [{"name": "clicks", "type": "long"}]
    assert kept["lineage"]["upstream"] == ["embeddings/3"]
    graph = read(platform, f"/api/v1/models/{name}/versions/1/lineage")
    assert {node["label"] for node in graph["nodes"]} >= {"clicks"}
    assert f"dataset:{digest}" in {node["id"] for node in graph["nodes"]}
