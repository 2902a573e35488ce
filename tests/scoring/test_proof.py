"""The gate at registration: an explanation that is not the library's is served by the library; so says the record."""

import lightgbm
import numpy as np
import pytest

from registry import pinning, versions
from scoring import runtimes, serving, trials
from scoring.runtimes import proof
from tests import builders
from tests.registry.test_pinning import allowed, ask  # noqa: F401
from tests.scoring.test_runtimes import MODELS


@pytest.mark.parametrize("name", [name for name in MODELS if "logistic" not in name])
def test_ours_is_the_librarys_and_that_of_shaps_own_code_on_rows_around_every_threshold(name):
    flavour, data, _ = MODELS[name]()
    runtime = runtimes.load(flavour, {"model": data}, "model", 6)
    found = proof.drawn(runtime)
    assert (found.by, found.rows, found.mismatches) == ("quadrature", proof.ROWS, 0)
    assert found.plain >= 1000
    assert found.compiled < 1e-12
    assert found.library < (1e-5 if flavour == "xgboost" else 1e-12)
    assert found.margin < (1e-5 if flavour == "xgboost" else 1e-12)


def test_splits_by_category_are_proven_on_known_and_unknown_ones():
    chance = np.random.default_rng(7)
    rows = np.column_stack([chance.integers(0, 40, 2000), chance.normal(size=(2000, 2))])
    labels = np.isin(rows[:, 0], [1, 5, 33]) | (rows[:, 1] > 1)
    told = {"objective": "binary", "verbosity": -1, "min_data_per_group": 5, "num_threads": 1}
    booster = lightgbm.train(told, lightgbm.Dataset(rows, labels, categorical_feature=[0]), 20)
    runtime = runtimes.load("lightgbm", {"model": booster.model_to_string().encode()}, "model", 3)
    found = proof.drawn(runtime)
    assert found.library < 1e-12
    assert (found.mismatches, found.compiled, found.plain) == (0, None, 0)  # shap's own code reads no categories


def test_values_that_no_schema_lets_through_are_explained_as_the_library_does():
    chance = np.random.default_rng(8)
    rows = np.column_stack([chance.integers(0, 40, 1500), chance.normal(size=(1500, 2))])
    rows[chance.random(rows.shape) < 0.1], rows[chance.random(rows.shape) < 0.1] = np.nan, 0.0
    labels = np.isin(rows[:, 0], [1, 5, 33]) | (rows[:, 1] > 1)
    strange = [
        np.inf,
        -np.inf,
        1e300,
        -1e300,
        1e-35,
        -1e-35,
        1.01e-35,
        1e-36,
        5e-324,
        -0.0,
        -0.5,
        2.0**31,
        2.0**40,
        np.nan,
    ]
    asked = chance.choice(strange, (300, 3))
    for kind in ({}, {"zero_as_missing": True}, {"use_missing": False}):
        told = {"objective": "binary", "verbosity": -1, "num_leaves": 15, "num_threads": 1, **kind}
        booster = lightgbm.train(told, lightgbm.Dataset(rows, labels, categorical_feature=[0]), 15)
        runtime = runtimes.load("lightgbm", {"model": booster.model_to_string().encode()}, "model", 3)
        assert proof.proven(runtime, asked).mismatches == 0, kind


def test_what_is_read_wrongly_goes_to_the_library_and_is_seen():
    flavour, data, rows = MODELS["lightgbm"]()
    runtime = runtimes.load(flavour, {"model": data}, "model", 6)
    for tree in runtime.explainer.forest.trees:
        tree.threshold[:] += 0.3  # as a library would that compares otherwise than it did
    runtime.explainer.__init__(runtime.explainer.forest)
    found = proof.explanation(runtime)
    assert found["by"] == "library"
    assert found["mismatches"] > 100
    assert found["why"] == f"{found['mismatches']} of {proof.ROWS} rows were explained differently"
    assert proof.proven(runtime, rows[:50]).mismatches > 0


def test_a_registration_says_how_it_is_explained_and_serving_reads_it(people, allowed):  # noqa: F811
    registration = ask(people, f"file://{allowed}/model")
    pinning.perform(registration, now=builders.now(), trial=trials.examine)
    version = versions.version_of("fraud", registration.number)
    told = version.lineage["explanation"]
    assert (told["by"], told["mismatches"], told["rows"]) == ("quadrature", 0, proof.ROWS)
    assert versions.manifest(version)["lineage"]["explanation"] == told  # so the digest that people sign covers it
    assert not runtimes.by_library(version.lineage)


def test_a_version_that_was_not_proven_is_served_by_its_library(people):
    told = {"source": "test", "explanation": {"by": "library", "why": "7 of 2048 rows were explained differently"}}
    version = builders.a_champion(people, builders.a_checked_version(people.ada, lineage=told))
    served = serving.champion("fraud", now=builders.now())
    assert (served.package.version, served.runtime.explains_by) == (version, "library")
    assert builders.a_decision(people).score is not None
