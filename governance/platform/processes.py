"""The table of processes: what each runs, as which database role, holding which keys."""

import os
import shlex
import sys
from dataclasses import replace

from governance.platform.environment import Surroundings, inherited, shared
from governance.platform.probes import LOCAL, healthy
from governance.platform.process import Process

THREADS = "governance.listening.Worker"  # gunicorn's own with threads: portable, and fast enough for pages
LOOP = "scoring.loop.worker.Worker"  # answers leave with the commit of their group; one process for each core
WORKERS = "2"
_OPTIONS = {THREADS: "--threads 8", LOOP: "--threads 4 --keep-alive 75"}
BEHIND, LOGGING = 10, 5  # how nice they are to whoever answers: what works behind the pages, and who orders the log
STORY = (
    "DATA",
    "LABEL",
    "PROTECTED",
    "TIME",
    "ID",
    "ADVERSE",
)  # what file the walk runs on, if not on simulated payments


def setup(told: Surroundings, *, people: bool) -> Process:
    """Return the step that brings the database and keys to the state this code expects."""
    witness = ["--witness", f"http://{LOCAL}:{told.witness_port}"]
    argv = [sys.executable, "manage.py", "setup_platform", *witness, *(["--people"] if people else [])]
    env = told.of("setup", "migrator", keys=("log", "warrant", "webhook"))
    return Process("setup", argv, env, restart=False)


def walk(told: Surroundings) -> Process:
    """Return the demonstration, which speaks to the operator's terminal."""
    story = {name: os.environ[name] for name in STORY if name in os.environ}
    quiet = {"MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true", "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false"}
    env = told.of("web", "app") | story | quiet
    return Process("walk", _module("governance.demo.walk"), env, restart=False, console=True)


def servers(told: Surroundings) -> list[Process]:
    """Return what must run before anybody can use the platform."""
    sequencer = told.of("sequencer", "sequencer", keys=("log",))
    return [
        _witness(told),
        Process("sequencer", [sys.executable, "manage.py", "sequence_log"], sequencer, nice=LOGGING),
        _web("web", told.web_port, told.of("web", "app")),
        _web("scoring", told.scoring_port, told.of("scoring", "scoring"), LOOP),
    ]


def helpers(told: Surroundings) -> list[Process]:
    """Return what works behind the pages and gives way to it; nobody waits for these to be ready."""
    found = [
        _worker("worker", "default", told.of("worker", "app")),
        _worker("intake", "intake", told.of("intake", "app")),
        _worker("checks", "checks", told.of("checks", "app")),
        _worker("drift", "drift", told.of("drift", "app")),
        _worker("monitors", "monitors", told.of("monitors", "app")),
        _worker("explainer", "explanations", told.of("explainer", "app")),
        _worker("train", "train", told.of("train", "app")),
        _worker("webhooks", "webhooks", told.of("webhooks", "app", keys=("webhook",)), pool="threads", at_once=8),
        _worker("governor", "governor", told.of("governor", "governor", keys=("warrant",))),
        _beat(told),
        tracking(told),
    ]
    return [replace(process, nice=BEHIND) for process in found]


def tracking(told: Surroundings) -> Process:
    """Return the stock MLflow server, reachable through its private socket alone."""
    folder = told.home.folder("tracking")
    options = {
        "backend-store-uri": f"sqlite:///{folder / 'mlflow.db'}",
        "artifacts-destination": str(told.tracking_artifacts),
        "default-artifact-root": "mlflow-artifacts:/",
        "workers": "1",
        "uvicorn-opts": f"--uds {shlex.quote(told.tracking_socket)}",
    }
    argv = [word for name, value in options.items() for word in (f"--{name}", value)]
    wanted = ("MLFLOW_DISABLE_TELEMETRY", "DO_NOT_TRACK", "PYTHONUNBUFFERED", "OMP_NUM_THREADS")
    env = inherited() | {name: told.of("tracking", None)[name] for name in wanted}
    env["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"] = "false"  # its job runner would reach out over TCP
    return Process("tracking", _module("mlflow", "server", *argv), env)


def _witness(told: Surroundings) -> Process:
    """Return our own witness: it shows how one works; those that prove something are run by others."""
    folder = told.home.folder("witness")
    options = {
        "listen": f"{LOCAL}:{told.witness_port}",
        "state": str(folder / "state"),
        "key": str(folder / "witness.key"),
        "policy": str(told.home.path / "keys" / "log.policy"),
    }
    argv = [word for name, value in options.items() for word in (f"--{name}", value)]
    return Process(
        "witness",
        [sys.executable, "manage.py", "witness", *argv],
        inherited() | shared(told.home),
        ready=healthy(told.witness_port),
    )


def _web(name: str, port: int, env: dict[str, str], worker: str = THREADS) -> Process:
    argv = gunicorn(worker, f"{LOCAL}:{port}")
    return Process(name, argv, env | {"WEB_CONCURRENCY": "2"}, ready=healthy(port, "/ready"))


def gunicorn(worker: str, bind: str) -> list[str]:
    """Return the command of a server of ours: with threads, or with the loop that scoring has of its own."""
    options = (
        f"-k {worker} --bind {bind} --graceful-timeout 5 --no-control-socket "
        f"--limit-request-line 8190 {_OPTIONS[worker]}"  # lines as long as other servers allow
    )
    return _module("gunicorn", "governance.wsgi:application", *options.split())


def _worker(name: str, queue: str, env: dict[str, str], *, pool: str = "prefork", at_once: int = 1) -> Process:
    options = f"-P {pool} -c {at_once} -Q {queue} -n {name}@countersign --without-gossip --without-mingle"
    return Process(name, _module("celery", "-A", "governance", "worker", *options.split()), env)


def _beat(told: Surroundings) -> Process:
    schedule = told.home.folder("beat") / "schedule"
    # It never asks the database, but the settings it loads name one.
    return Process(
        "beat",
        _module("celery", "-A", "governance", "beat", "-s", str(schedule)),
        told.of("beat", "app"),
    )


def _module(name: str, *arguments: str) -> list[str]:
    return [sys.executable, "-m", name, *arguments]
