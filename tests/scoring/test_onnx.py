"""A model in ONNX: scored by ONNX Runtime, one row as among many, and explained afterwards, additively."""

import numpy as np
import pytest

from registry.refusals import Invalid, Unavailable
from scoring import runtimes
from scoring.runtimes import proof
from tests.graphs import WEIGHTS, logistic

ROWS = np.random.default_rng(4).normal(size=(60, 4))


def loaded(data):
    return runtimes.load("onnx", {"model.onnx": data}, "model.onnx", 4)


def test_scores_are_the_graphs_own_and_a_row_has_the_same_bits_alone():
    runtime = loaded(logistic())
    scored = runtime.score(ROWS)
    assert np.allclose(scored.score, 1 / (1 + np.exp(-ROWS @ WEIGHTS)), atol=1e-6)
    assert [float(runtime.score(row[None]).score[0]) for row in ROWS] == scored.score.tolist()


def test_it_is_not_explained_inside_a_request_but_afterwards_and_then_it_adds_up():
    runtime = loaded(logistic())
    assert not runtime.explains_inline
    with pytest.raises(Unavailable, match="made afterwards"):
        runtime.explain(ROWS[:1])
    explained = runtimes.checked(runtime.explain_slowly(ROWS[:5], ROWS), "onnx")
    assert explained.score.tolist() == runtime.score(ROWS[:5]).score.tolist()
    assert np.abs(explained.attributions[:, 3]).max() < 1e-9  # a feature without weight
    assert np.array_equal(explained.attributions, runtime.explain_slowly(ROWS[:5], ROWS).attributions)
    assert proof.proven(runtime, ROWS).mismatches == 0


def test_what_cannot_be_served_says_why():
    with pytest.raises(Invalid, match="cannot be read"):
        loaded(b"not a graph")
    with pytest.raises(Invalid, match="one output holds the probabilities"):
        loaded(logistic(outputs=2))
    with pytest.raises(Invalid, match="takes 4 features, its schema has 5"):
        runtimes.load("onnx", {"m": logistic()}, "m", 5)
