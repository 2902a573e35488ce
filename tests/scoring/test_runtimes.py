"""Every runtime: bit-equal online and in batch, additive, and equal to shap's own explanation."""

import sys

import lightgbm
import numpy as np
import pytest
import shap
import skops.io
import xgboost
from sklearn.decomposition import PCA
from sklearn.ensemble import (
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
)
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MaxAbsScaler, MinMaxScaler, RobustScaler, StandardScaler

from registry.refusals import Invalid, Mismatch, Unavailable
from scoring import runtimes

CHANCE = np.random.default_rng(3)
ROWS = CHANCE.normal(size=(1500, 6))
LABELS = (ROWS[:, 0] + ROWS[:, 1] * ROWS[:, 2] + CHANCE.normal(size=1500) > 1).astype(int)
HOLES = np.where(CHANCE.random(ROWS.shape) < 0.1, np.nan, ROWS)


def a_lightgbm():
    booster = lightgbm.train(
        {"objective": "binary", "verbosity": -1, "num_leaves": 15, "num_threads": 1},
        lightgbm.Dataset(HOLES, LABELS, params={"verbosity": -1}),
        60,
    )
    return "lightgbm", booster.model_to_string().encode(), HOLES


def an_xgboost():
    data = xgboost.DMatrix(HOLES, LABELS, nthread=1)
    booster = xgboost.train({"objective": "binary:logistic", "max_depth": 4, "nthread": 1}, data, 40)
    return "xgboost", bytes(booster.save_raw("ubj")), HOLES


def a_scikit(model):
    return "sklearn", skops.io.dumps(model.fit(ROWS, LABELS)), ROWS


def a_scaled(*scalers):
    return lambda: a_scikit(make_pipeline(*scalers, LogisticRegression()))


SCALERS = {
    "a standard scaler": StandardScaler(),
    "one without mean": StandardScaler(with_mean=False),
    "one without deviation": StandardScaler(with_std=False),
    "a range": MinMaxScaler(),
    "a maximum": MaxAbsScaler(),
    "quantiles": RobustScaler(),
}
MODELS = {
    "lightgbm": a_lightgbm,
    "xgboost": an_xgboost,
    "logistic": lambda: a_scikit(LogisticRegression()),
    **{f"logistic behind {name}": a_scaled(scaler) for name, scaler in SCALERS.items()},
    "extra trees": lambda: a_scikit(ExtraTreesClassifier(10, random_state=1, n_jobs=1)),
    "gradient boosting": lambda: a_scikit(GradientBoostingClassifier(n_estimators=20, random_state=1)),
    "forest": lambda: a_scikit(RandomForestClassifier(20, max_depth=6, random_state=1, n_jobs=1)),
    "boosting": lambda: a_scikit(HistGradientBoostingClassifier(max_iter=20, random_state=1)),
}


@pytest.mark.parametrize("name", MODELS)
def test_it_adds_up_and_single_rows_equal_the_batch_to_the_bit(name):
    flavour, data, rows = MODELS[name]()
    runtime = runtimes.load(flavour, {"model": data}, "model", 6)
    assert runtime.explains_inline
    assert runtime.explains_by == ("linear" if "logistic" in name else "quadrature")
    batch = runtimes.checked(runtime.explain(rows[:200]), flavour)
    single = [runtimes.checked(runtime.explain(row[None]), flavour) for row in rows[:200]]
    assert np.array_equal(batch.score, runtime.score(rows[:200]).score)
    assert np.array_equal(batch.score, np.concatenate([one.score for one in single]))
    assert np.array_equal(batch.attributions, np.concatenate([one.attributions for one in single]))
    linked = 1 / (1 + np.exp(-batch.margin)) if batch.link == "logit" else batch.margin
    assert np.max(np.abs(linked - batch.score)) < 1e-6


@pytest.mark.parametrize("name", [name for name in MODELS if "logistic" in name])
def test_a_linear_score_is_the_authors_own_to_the_bit(name):
    flavour, data, rows = MODELS[name]()
    runtime = runtimes.load(flavour, {"model": data}, "model", 6)
    model = skops.io.loads(data, trusted=skops.io.get_untrusted_types(data=data))
    own = [model.predict_proba(row[None])[0, 1] for row in rows[:300]]
    assert runtime.score(rows[:300]).score.tolist() == own
    assert np.max(np.abs(runtime.score(rows).score - model.predict_proba(rows)[:, 1])) < 1e-12


def test_a_row_with_a_hole_is_refused_by_a_model_that_takes_none():
    flavour, data, _ = MODELS["logistic"]()
    runtime = runtimes.load(flavour, {"model": data}, "model", 6)
    with pytest.raises(Invalid, match="does not take such a row: Input X contains NaN"):
        runtime.explain(np.full((1, 6), np.nan))


def test_lightgbm_attributions_are_those_of_shaps_own_tree_code():
    flavour, data, rows = a_lightgbm()
    explained = runtimes.load(flavour, {"model": data}, "model", 6).explain(rows[:300])
    explainer = shap.TreeExplainer(
        lightgbm.Booster(model_str=data.decode()), feature_perturbation="tree_path_dependent"
    )
    explainer.model.model_type = "internal"  # else shap asks the booster itself, and the test compares it to itself
    assert np.max(np.abs(explainer.shap_values(rows[:300]) - explained.attributions)) < 1e-9
    contributions = lightgbm.Booster(model_str=data.decode()).predict(rows[:300], pred_contrib=True)
    assert np.max(np.abs(contributions[:, :-1] - explained.attributions)) < 1e-9
    assert abs(contributions[0, -1] - explained.base) < 1e-9


def test_a_model_that_does_not_add_up_is_refused():
    flavour, data, rows = a_lightgbm()
    explained = runtimes.load(flavour, {"model": data}, "model", 6).explain(rows[:2])
    spoiled = runtimes.Explained(explained.score, explained.margin, 0.5, explained.attributions, "logit")
    with pytest.raises(Mismatch, match="cannot be explained"):
        runtimes.checked(spoiled, flavour)


@pytest.mark.parametrize(
    ("flavour", "data", "reason"),
    [
        ("lightgbm", b"not a model", "cannot be read"),
        ("xgboost", b"not a model", "cannot be read"),
        ("pyfunc", b"", "no runtime"),
    ],
)
def test_what_cannot_be_served_says_why(flavour, data, reason):
    with pytest.raises(Invalid, match=reason):
        runtimes.load(flavour, {"model": data}, "model", 6)


def test_a_model_of_other_features_or_without_exact_explanation_is_refused():
    flavour, data, _ = a_lightgbm()
    with pytest.raises(Invalid, match="6 features, its schema 7"):
        runtimes.load(flavour, {"model": data}, "model", 7)
    flavour, data, _ = a_scikit(make_pipeline(PCA(), LogisticRegression()))
    with pytest.raises(Invalid, match="pipeline with PCA has no exact explanation"):
        runtimes.load(flavour, {"model": data}, "model", 6)
    flavour, data, _ = a_scikit(GaussianNB())
    with pytest.raises(Invalid, match="no exact explanation"):
        runtimes.load(flavour, {"model": data}, "model", 6)


def test_a_server_without_the_libraries_of_a_flavour_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "skops", None)  # as in an environment of requirements/web.txt
    monkeypatch.delitem(sys.modules, "scoring.runtimes.sklearn_runtime", raising=False)
    with pytest.raises(Unavailable, match="skops is not installed here, and sklearn models need it"):
        runtimes.load("sklearn", {"model.skops": b""}, "model.skops", 2)
