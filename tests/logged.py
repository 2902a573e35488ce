"""What a data scientist's own program does: train a small model, log it with the stock client, ask about it."""

import subprocess
import sys

import httpx
import mlflow
import numpy as np
import pandas as pd

from tests.running import ROOT

ROWS = pd.DataFrame(np.random.default_rng(7).normal(size=(300, 3)), columns=["amount", "age", "hour"])
LABELS = (ROWS["amount"] + ROWS["age"] > 0).astype(int)


def log_booster(booster, **given):
    with mlflow.start_run() as run:
        mlflow.log_params({"rounds": 8})
        mlflow.log_metrics({"auc": 0.91, "lift": float("nan")})
        info = mlflow.lightgbm.log_model(booster, name="model", input_example=ROWS.head(2), **given)
    return run, info


def register(booster, name):
    log_booster(booster, registered_model_name=name)


def send(platform, method, path, token="ada", **body):
    """Ask over HTTP, as somebody whose token is known, or by a token."""
    secret = platform.tokens.get(token, token)
    return httpx.request(method, f"{platform.url}{path}", headers={"Authorization": f"Bearer {secret}"}, **body)


def read(platform, path):
    answer = send(platform, "GET", path)
    assert answer.status_code == 200, answer.text
    return answer.json()


def another_person(platform, username, role):
    """Add somebody as an administrator would, and return the token of their programs."""
    _manage(platform, "add_person", username, "--role", role, "--service")
    return _manage(platform, "issue_token", username, "--name", "test").strip()


def _manage(platform, *command):
    environment = next(told for told in platform.processes().values() if told["PROCESS"] == "web")
    done = subprocess.run(
        [sys.executable, "manage.py", *command], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
