"""What MLflow's own tests of its registry do with a client, told anew: answered alike, or refused on purpose."""

import time
from contextlib import contextmanager

import mlflow
import pytest
from mlflow.entities.model_registry import ModelVersion, RegisteredModel
from mlflow.exceptions import MlflowException

from tests.logged import read, register

NOWHERE = "runs:/run_id/model"  # what those tests register: nothing is known of it


@contextmanager
def milliseconds():
    """Yield a function that says whether a moment in milliseconds lies in here."""
    begun, ended = int(time.time() * 1000), []
    yield lambda moment: begun <= moment <= ended[0]
    ended.append(int(time.time() * 1000) + 1)


@pytest.fixture
def made(ada_client, name):
    """A model of this name with two versions of sources that nobody knows."""
    ada_client.create_registered_model(name)
    tags = {"key": "value", "numeric value": 12345}
    return [
        ada_client.create_model_version(name, NOWHERE, "run_id_1", tags),
        ada_client.create_model_version(name, "runs:/run_id/another_model", "run_id_1"),
    ]


def pages(ask):
    found, token = [], None
    while token is None or token:
        page = ask(token)
        found, token = found + list(page), page.token
    return found


def test_a_model_is_created_and_queried(ada_client, name):
    with milliseconds() as inside:
        model = ada_client.create_registered_model(name, {"key": "value", "numeric value": 12345})
    assert isinstance(model, RegisteredModel)
    found = ada_client.get_registered_model(name)
    assert (found.name, found.tags) == (name, {"key": "value", "numeric value": "12345"})
    assert (found.description, found.latest_versions) == ("", [])
    assert inside(found.creation_timestamp)
    assert inside(found.last_updated_timestamp)
    for text in (None, "", f"name = '{name}'"):
        assert [row.name for row in ada_client.search_registered_models(text, max_results=1000) if row.name == name]
    with pytest.raises(MlflowException, match="Registered Model .+ already exists"):
        ada_client.create_registered_model(name)


@pytest.mark.parametrize("size", [1, 8, 100])
def test_models_and_versions_come_in_pages(ada_client, name, size):
    names = [f"{name}-{place:02}" for place in range(9)]
    for each in names:
        ada_client.create_registered_model(each)
        ada_client.create_model_version(each, NOWHERE, "run_id")
    models = pages(lambda t: ada_client.search_registered_models(f"name LIKE '{name}-%'", size, page_token=t))
    assert [row.name for row in models] == names
    ask = lambda t: ada_client.search_model_versions(f"name ILIKE '{name.upper()}-%'", size, page_token=t)  # noqa: E731
    assert [row.name for row in pages(ask)] == names[::-1], "the newest first"


def test_versions_are_created_and_queried(ada_client, name, made):
    first, second = made
    assert (first.version, first.tags) == ("1", {"key": "value", "numeric value": "12345"})
    assert isinstance(first, ModelVersion)
    found = ada_client.get_model_version(name, "2")
    assert ada_client.get_registered_model(name).latest_versions == [found]
    ada_client.create_model_version(name, "runs:/run_id/another_model", "run_id_2")
    of_run = ada_client.search_model_versions(f"run_id = 'run_id_1' AND name = '{name}'")
    assert [row.version for row in of_run] == ["2", "1"]
    of_source = ada_client.search_model_versions(f"source_path = '{NOWHERE}' AND name = '{name}'")
    assert of_source == [ada_client.get_model_version(name, "1")]
    assert ada_client.get_model_version_download_uri(name, "1") == NOWHERE
    with pytest.raises(MlflowException, match="Parameter 'version' must be an integer, got 'something not correct'."):
        ada_client.get_model_version(name, "something not correct")


def test_what_is_written_anew_has_its_time(ada_client, name, made):
    before = ada_client.get_registered_model(name)
    with milliseconds() as inside:
        ada_client.update_model_version(name, "1", "This is a test model")
    found = ada_client.get_model_version(name, "1")
    assert (found.description, found.creation_timestamp) == ("This is a test model", made[0].creation_timestamp)
    assert inside(found.last_updated_timestamp)
    assert ada_client.get_registered_model(name).last_updated_timestamp == before.last_updated_timestamp
    with milliseconds() as inside:
        ada_client.update_registered_model(name, "This is a test")
    assert inside(ada_client.get_registered_model(name).last_updated_timestamp)
    newest = ada_client.search_model_versions(f"name = '{name}'", order_by=["last_updated_timestamp DESC"])
    assert [row.version for row in newest] == ["1", "2"]


def test_tags_may_be_empty_and_numbers(ada_client, name, made):
    ada_client.set_model_version_tag(name, "2", "tag_key", "")
    ada_client.set_model_version_tag(name, "2", "number", 7)
    assert ada_client.get_model_version(name, "2").tags == {"tag_key": "", "number": "7"}
    ada_client.delete_model_version_tag(name, "2", "number")
    ada_client.set_registered_model_tag(name, "tag_key", "")
    assert ada_client.get_registered_model(name).tags == {"tag_key": ""}
    assert ada_client.get_model_version(name, "2").tags == {"tag_key": ""}


def test_an_alias_leads_to_its_version(ada_client, name, made):
    ada_client.set_registered_model_alias(name, "test_alias", "1")
    assert ada_client.get_registered_model(name).aliases == {"test_alias": "1"}
    found = ada_client.get_model_version(name, "1")
    assert found.aliases == ["test_alias"]
    assert ada_client.get_model_version_by_alias(name, "test_alias") == found
    ada_client.delete_registered_model_alias(name, "test_alias")
    assert ada_client.get_model_version(name, "1").aliases == []


def test_a_version_is_copied(ada_client, name, made):
    ada_client.set_registered_model_alias(name, "test_alias", "1")
    copied = ada_client.copy_model_version(f"models:/{name}@test_alias", name)
    found = ada_client.get_model_version(name, copied.version)
    assert (found.version, found.source, found.run_id) == ("3", f"models:/{name}/1", "run_id_1")
    assert found.tags == made[0].tags
    assert ada_client.get_model_version_download_uri(name, "3") == NOWHERE


def test_the_latest_version_has_no_stage(ada_client, name, made):
    for stages in (None, [], ["None"]):
        assert [row.version for row in ada_client.get_latest_versions(name, stages)] == ["2"]
    assert ada_client.get_latest_versions(name, ["Production"]) == []


def test_a_copy_has_the_pinned_bytes_of_what_it_copies(platform, ada_client, booster, name):
    register(booster, name)
    copied = ada_client.copy_model_version(f"models:/{name}/1", f"{name}-copy")
    assert ada_client.get_model_version(copied.name, "1").status == "READY"
    first, second = (read(platform, f"/api/v1/models/{model}/versions/1") for model in (name, copied.name))
    assert second["artifact"] == first["artifact"]
    assert second["lineage"]["run_id"] == first["lineage"]["run_id"]
    loaded = mlflow.lightgbm.load_model(f"models:/{copied.name}/1")
    assert loaded.model_to_string() == booster.model_to_string()
