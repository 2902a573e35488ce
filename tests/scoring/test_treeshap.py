"""The mathematics of explanations: against the definition, subset by subset, on trees that no library would grow."""

import itertools
import json
import math
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scoring.treeshap import quadrature
from scoring.treeshap.explainer import Explainer
from scoring.treeshap.forest import Categories, Forest, Tree, Unreadable
from tests.running import ROOT

FEATURES = 5
NUMBERS = st.sampled_from([-2.0, -1.0, 0.0, 0.5, 1.0, 3.0])
VALUES = st.one_of(NUMBERS, st.just(math.nan), st.floats(-3, 3))


@st.composite
def trees(draw, depth=5):
    """A tree as nested tuples: a leaf (value, cover), or (feature, threshold, missing right, left, right)."""
    if depth == 0 or draw(st.integers(0, 3)) == 0:
        return draw(st.floats(-10, 10)), float(draw(st.integers(0, 20)))
    split = draw(st.integers(0, FEATURES - 1)), draw(NUMBERS), draw(st.booleans())
    return *split, draw(trees(depth - 1)), draw(trees(depth - 1))


def cover(node):
    return node[1] if len(node) == 2 else cover(node[3]) + cover(node[4])


def whole(node):
    """Whether every split saw a training row: what its sides weigh is not defined otherwise."""
    return len(node) == 2 or (cover(node) > 0 and whole(node[3]) and whole(node[4]))


def built(node):
    splits, leaves = [], []

    def walk(part):
        if len(part) == 2:
            leaves.append(part)
            return ~(len(leaves) - 1)
        here = len(splits)
        splits.append([part, None, None])
        splits[here][1], splits[here][2] = walk(part[3]), walk(part[4])
        return here

    walk(node)
    return Tree(
        children=np.array([split[1:] for split in splits], int).reshape(len(splits), 2),
        feature=np.array([split[0][0] for split in splits], int),
        threshold=np.array([split[0][1] for split in splits], float),
        missing_right=np.array([split[0][2] for split in splits], bool),
        rule=np.zeros(len(splits), int),
        cover=np.array([cover(split[0]) for split in splits], float),
        leaf_cover=np.array([leaf[1] for leaf in leaves]),
        leaf_value=np.array([leaf[0] for leaf in leaves]),
        categories={},
    )


def conditional(node, row, known):
    """The path-dependent expectation (Lundberg et al. 2020, algorithm 1): unknown features are averaged by cover."""
    if len(node) == 2:
        return node[0]
    feature, threshold, missing_right, left, right = node
    if feature in known:
        value = row[feature]
        goes_right = missing_right if math.isnan(value) else value > threshold
        return conditional(right if goes_right else left, row, known)
    share = cover(left) / cover(node)
    return share * conditional(left, row, known) + (1 - share) * conditional(right, row, known)


def defined(node, row):
    """Shapley values by their definition, over all subsets of features."""
    found = np.zeros(FEATURES)
    for feature in range(FEATURES):
        others = [other for other in range(FEATURES) if other != feature]
        for size in range(FEATURES):
            weight = 1 / (FEATURES * math.comb(FEATURES - 1, size))
            for known in itertools.combinations(others, size):
                gain = conditional(node, row, {*known, feature}) - conditional(node, row, set(known))
                found[feature] += weight * gain
    return found


@settings(max_examples=150, deadline=None)
@given(trees().filter(whole), st.lists(VALUES, min_size=FEATURES, max_size=FEATURES))
def test_attributions_are_shapley_values_by_their_definition(node, row):
    explainer = Explainer(Forest([built(node)], 0.0, FEATURES))
    found = explainer.attributions(np.array([row]))[0]
    assert np.allclose(found, defined(node, row), rtol=0, atol=1e-11)
    assert abs(explainer.base - conditional(node, row, set())) < 1e-12
    assert abs(explainer.base + found.sum() - conditional(node, row, set(range(FEATURES)))) < 1e-11


@settings(max_examples=30, deadline=None)
@given(st.lists(trees().filter(whole), min_size=1, max_size=6), st.integers(1, 20), st.integers(0, 2**32 - 1))
def test_a_row_has_the_same_bits_alone_and_among_others(nodes, count, seed):
    explainer = Explainer(Forest([built(node) for node in nodes], 0.5, FEATURES))
    rows = np.random.default_rng(seed).normal(size=(count, FEATURES))
    alone = [explainer.attributions(row[None])[0] for row in rows]
    assert np.array_equal(explainer.attributions(rows), np.array(alone).reshape(count, FEATURES))


@pytest.mark.parametrize("features", [1, 8, 9, 16, 17, 33, 64])
def test_long_paths_are_explained_exactly_and_still_longer_ones_refused(features):
    rows = np.linspace(-1, 1, features)[None]

    def ladder(count):  # every split on a feature of its own
        node = (1.0, 3.0)
        for feature in reversed(range(count)):
            node = (feature, 0.0, False, (float(feature % 3), 2.0), node)
        return built(node)

    explainer = Explainer(Forest([ladder(features)], 0.0, features))
    found = explainer.attributions(rows)[0]
    margin = next((float(f % 3) for f in range(features) if rows[0, f] <= 0), 1.0)
    assert abs(explainer.base + found.sum() - margin) < 1e-12
    with pytest.raises(Unreadable, match="65 features; 64 are the most"):
        Explainer(Forest([ladder(65)], 0.0, 65))


def test_categories_go_where_they_are_told_and_unknown_ones_too():
    tree = Tree(
        children=np.array([[~0, ~1]]),
        feature=np.array([0]),
        threshold=np.zeros(1),
        missing_right=np.array([True]),
        rule=np.array([16]),
        cover=np.array([4.0]),
        leaf_cover=np.array([3.0, 1.0]),
        leaf_value=np.array([0.0, 1.0]),
        categories={0: Categories(np.array([True, False, True]), 0)},
    )
    explainer = Explainer(Forest([tree], 0.0, 1))
    codes = [0.0, 1.0, 2.0, 2.9, 3.0, -0.5, -1.0, 1e12, math.inf, math.nan]
    right = explainer.base + explainer.attributions(np.array(codes)[:, None])[:, 0]
    assert right.tolist() == [1, 0, 1, 1, 0, 1, 0, 0, 0, 1]


def test_a_split_that_saw_no_row_is_not_explained():
    with pytest.raises(Unreadable, match="saw no training row"):
        Explainer(Forest([built((0, 0.0, False, (1.0, 0.0), (2.0, 0.0)))], 0.0, 1))


@pytest.mark.parametrize("count", [4, 8, 16, 32])
def test_quadrature_is_exact_for_every_polynomial_that_occurs(count):
    nodes, weights = quadrature.rule(count)
    for degree in range(2 * count):
        assert abs(math.fsum(w * t**degree for t, w in zip(nodes, weights, strict=True)) - 1 / (degree + 1)) < 1e-16
    assert np.allclose(nodes, (np.polynomial.legendre.leggauss(count)[0] + 1) / 2, rtol=0, atol=1e-15)


SCRIPT = """
import json
from numba.core import event
from scoring.treeshap import explainer, kernel
explainer.NODES = explainer.NODES[:1]
with event.install_recorder("numba:compile") as seen:
    explainer.compile_all()
stats = kernel.add.stats
print(json.dumps([len(seen.buffer), sum(stats.cache_hits.values()), sum(stats.cache_misses.values())]))
"""


@pytest.fixture
def image(tmp_path):
    """The code as in an image of its own, where nothing was compiled yet."""
    whole = tmp_path / "image" / "scoring"
    shutil.copytree(ROOT / "scoring" / "treeshap", whole / "treeshap", ignore=shutil.ignore_patterns("__pycache__"))
    (whole / "__init__.py").touch()
    return whole.parent


def compiled(image, **told):
    """Compile events, loads and compilations of a new process."""
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(image), "PYTHONDONTWRITEBYTECODE": "1", **told}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], env=env, cwd=image, capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout)


def test_a_second_process_compiles_nothing_and_one_on_another_cpu_takes_none_of_it(image, tmp_path):
    folder = tmp_path / "kept"
    events, *counts = compiled(image, NUMBA_CACHE_DIR=str(folder))
    assert events > 0
    assert counts == [0, 1]
    assert compiled(image, NUMBA_CACHE_DIR=str(folder)) == [0, 1, 0]
    (file,) = folder.iterdir()
    other = {"NUMBA_CPU_NAME": "haswell", "NUMBA_CPU_FEATURES": "+avx2"}
    assert compiled(image, NUMBA_CACHE_DIR=str(folder), **other)[1:] == [0, 1]
    assert len(list(folder.iterdir())) == 2
    file.write_bytes(file.read_bytes()[:-1])  # as after a full disk
    assert compiled(image, NUMBA_CACHE_DIR=str(folder))[1:] == [0, 1]


def test_an_image_brings_what_was_compiled_and_a_place_that_cannot_be_written_costs_time_alone(image, tmp_path):
    place = tmp_path / "file"
    place.write_text("no folder")
    assert compiled(image, NUMBA_CACHE_DIR=str(place))[1:] == [0, 1]
    assert compiled(image)[1:] == [0, 1]  # beside the code
    assert compiled(image, NUMBA_CACHE_DIR=str(place)) == [0, 1, 0]
    with (image / "scoring" / "treeshap" / "vectors.py").open("a") as source:
        source.write("# another release\n")
    assert compiled(image, NUMBA_CACHE_DIR=str(place))[1:] == [0, 1]
