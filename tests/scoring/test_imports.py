"""Each process imports what it needs, and the lean ones nothing more."""

import json
import os
import subprocess
import sys

import pytest

HEAVY = {"pandas", "sklearn", "shap", "evidently", "fairlearn", "mlflow", "xgboost"}
SETUP = "import django; django.setup(); "
REPORT = "import sys, json; print(json.dumps(sorted(set(sys.modules))))"


def modules(process: str, code: str) -> set[str]:
    env = {
        "PROCESS": process,
        "SECRET_KEY": "x",
        "DATABASE_URL": "postgresql://u@/d",
        "DJANGO_SETTINGS_MODULE": "governance.settings",
        "PATH": "/usr/bin",
        "LD_LIBRARY_PATH": os.environ.get("LD_LIBRARY_PATH", ""),
    }
    done = subprocess.run(
        [sys.executable, "-c", SETUP + code + REPORT], env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_the_scoring_process_stays_lean_and_has_its_runtime():
    loaded = modules("scoring", "import scoring.serving_urls; import scoring.runtimes.lightgbm_runtime; ")
    assert not loaded & (HEAVY | {"pyarrow", "django_htmx.templatetags"})
    assert "lightgbm" in loaded


def test_the_pages_stay_lean():
    loaded = modules("web", "import governance.urls; ")
    assert not loaded & (HEAVY | {"lightgbm", "scipy"})


@pytest.mark.parametrize(
    ("process", "tasks", "needed"),
    [
        ("checks", "monitoring.tasks.checks", {"sklearn", "fairlearn", "pandas", "scipy"}),
        ("drift", "monitoring.tasks.drift", {"evidently", "pandas"}),
        ("train", "governance.tasks.train", {"pyarrow"}),
        ("governor", "governance.tasks.governor", set()),
        ("worker", "monitoring.tasks.nudges", set()),
    ],
)
def test_a_worker_imports_what_its_tasks_need(process, tasks, needed):
    loaded = modules(process, f"import importlib; importlib.import_module({tasks!r}); ")
    assert needed <= loaded
    assert "evidently" not in loaded or process == "drift"


def test_the_checks_worker_loads_every_runtime():
    code = "from scoring.runtimes import lightgbm_runtime, sklearn_runtime, xgboost_runtime; "
    assert {"lightgbm", "xgboost", "shap", "skops"} <= modules("checks", code)


def test_the_trainer_trains_without_django():
    loaded = modules("train", "import governance.training; ")
    assert {"lightgbm", "mlflow"} <= loaded
