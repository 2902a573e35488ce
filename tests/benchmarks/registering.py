"""Register a 50 MB model over HTTP, end to end until it is READY: with us, and with a stock `mlflow server`.

The same calls of the stock client on both, in turns: a run, the model's files through the artifact proxy, a version of
them, and asking until that is READY. Stock answers READY without having looked at a byte; we fetch, hash, scan, load
once in a child, and store each file durably first.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import lightgbm
import mlflow
import numpy as np
import pandas as pd
from mlflow import MlflowClient

from tests import running

SIZE = 50_000_000  # bytes of the model's largest file
TURNS, WARM = 7, 2


def _measure(ours: MlflowClient, stock: MlflowClient, tokens: dict[MlflowClient, str], folder: Path) -> dict:
    """Return the seconds that each took for a registration, medians over the turns, and the ratio of throughputs."""
    model = _model(folder / "model")
    seconds: dict[str, list[float]] = {"ours": [], "stock": []}
    parts: dict[str, list[float]] = {"ours": [], "stock": []}
    names = {"ours": ours, "stock": stock}
    for client in names.values():
        _told(tokens[client])
        client.create_registered_model("bench")
    for turn in range(WARM + TURNS):
        for name, client in names.items() if turn % 2 else reversed(names.items()):
            _told(tokens[client])
            (model / "weights.bin").write_bytes(os.urandom(SIZE))  # new bytes: nothing is stored already
            whole, ready = _register(client, model)
            if turn >= WARM:
                seconds[name].append(whole)
                parts[name].append(ready)
    medians = {name: round(statistics.median(found), 3) for name, found in seconds.items()}
    return {
        "bytes": SIZE,
        "turns": TURNS,
        "seconds": medians,
        "of_which_create_to_ready": {name: round(statistics.median(found), 3) for name, found in parts.items()},
        "throughput_ratio": round(medians["stock"] / medians["ours"], 2),
    }


def _register(client: MlflowClient, model: Path) -> tuple[float, float]:
    began = time.perf_counter()
    run = client.create_run("0")
    client.log_artifacts(run.info.run_id, str(model), "model")
    asked = time.perf_counter()
    version = client.create_model_version(
        "bench", f"{run.info.artifact_uri}/model", run.info.run_id, await_creation_for=None
    )
    while version.status != "READY":
        if version.status != "PENDING_REGISTRATION":
            raise RuntimeError(version.status_message)
        time.sleep(0.02)
        version = client.get_model_version("bench", version.version)
    if version.status_message:
        raise RuntimeError(version.status_message)
    ended = time.perf_counter()
    client.set_terminated(run.info.run_id)
    return ended - began, ended - asked


def _told(token: str) -> None:
    os.environ["MLFLOW_TRACKING_TOKEN"] = token


def _model(folder: Path) -> Path:
    rows = np.random.default_rng(7).normal(size=(2000, 8))
    data = lightgbm.Dataset(rows, rows[:, 0] > 0, feature_name=[f"f{number}" for number in range(8)])
    booster = lightgbm.train({"objective": "binary", "verbose": -1, "num_threads": 1}, data, 50)
    example = pd.DataFrame(rows[:2], columns=booster.feature_name())
    mlflow.lightgbm.save_model(booster, str(folder), input_example=example, pip_requirements=["lightgbm"])
    return folder


@contextmanager
def stock_server(folder: Path) -> Iterator[str]:
    """A stock `mlflow server` with its SQL store and artifact proxy, one worker as ours has."""
    port = running.free_port()
    options = {
        "backend-store-uri": f"sqlite:///{folder / 'mlflow.db'}",
        "artifacts-destination": str(folder / "artifacts"),
        "host": "127.0.0.1",
        "port": str(port),
        "workers": "1",
    }
    argv = [word for name, value in options.items() for word in (f"--{name}", value)]
    env = {**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    log = (folder / "server.log").open("wb")
    server = subprocess.Popen([sys.executable, "-m", "mlflow", "server", *argv], env=env, stdout=log, stderr=log)
    try:
        _until_healthy(f"http://127.0.0.1:{port}/health")
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(30)


def _until_healthy(address: str, token: str = "") -> None:
    told = {"Authorization": f"Bearer {token}"} if token else {}
    for _ in range(1200):
        try:
            if httpx.get(address, headers=told).status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.25)
    raise TimeoutError(f"{address} does not answer")


def measure(at: object = None) -> dict:
    """Start both servers on folders of their own and measure."""
    os.environ |= {"MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
    with tempfile.TemporaryDirectory(prefix="countersign-bench-") as made:
        folder = Path(made)
        with running.platform(folder / "home") as ours, stock_server(folder) as stock:
            token = ours.tokens["ada"]
            _until_healthy(f"{ours.url}/api/2.0/mlflow/experiments/search?max_results=1", token)
            clients = [MlflowClient(url, url) for url in (ours.url, stock)]
            mlflow.set_tracking_uri(stock)
            return _measure(*clients, dict(zip(clients, (token, uuid.uuid4().hex), strict=True)), folder)


def goals(found: dict) -> list[tuple[str, str, float, bool]]:
    """Return what is to be reached, and whether it was."""
    ratio = found["throughput_ratio"]
    return [("throughput of registering 50 MB, of a stock server's", "≥ 0.5", ratio, ratio >= 0.5)]


if __name__ == "__main__":
    print(json.dumps(measure(), indent=2))
