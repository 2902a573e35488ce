"""The servers people use today, each in its own environment: how it is started, asked, and what it answers."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.benchmarks.scoring import environments, processes
from tests.benchmarks.scoring.forest import NAMES, Forest
from tests.benchmarks.scoring.targets import Row, Target
from tests.running import free_port

SERVED = Path(__file__).parent / "served"
PATIENCE = 120  # seconds for a server to answer


@dataclass(frozen=True)
class Peer:
    """How one kind of server is run. `words` follow its interpreter; `prepare` writes what it reads beforehand."""

    name: str
    environment: str
    words: Callable[[Forest, int, int], Sequence[str]]
    path: Callable[[Sequence[Row]], str]
    body: Callable[[Sequence[Row]], dict]
    scores: Callable[[dict], list[float]]
    prepare: Callable[[Path, Forest, int, int], None] = lambda folder, forest, port, count: None
    told: Mapping[str, str] = field(default_factory=dict)


def _uvicorn(application: str) -> Callable[[Forest, int, int], Sequence[str]]:
    def words(forest: Forest, port: int, count: int) -> Sequence[str]:
        options = f"--port {port} --workers {count} --no-access-log --log-level warning --app-dir {SERVED}"
        return ["-m", "uvicorn", f"{application}:app", *options.split()]

    return words


def _mlflow(forest: Forest, port: int, count: int) -> Sequence[str]:
    return ["-m", "mlflow", *f"models serve -m {forest.folder} -p {port} --env-manager local -w {count}".split()]


def _mlserver(folder: Path, forest: Forest, port: int, count: int) -> None:
    """One process answers in its own; more are its pool of workers behind one that reads HTTP."""
    ports = {"http_port": port, "grpc_port": free_port(), "metrics_port": free_port()}
    told = ports | {"host": "127.0.0.1", "parallel_workers": 0 if count == 1 else count, "debug": False}
    (folder / "settings.json").write_text(json.dumps(told | {"metrics_endpoint": None}))
    model = {"name": "forest", "implementation": "mlserver_lightgbm.LightGBMModel"}
    (folder / "model-settings.json").write_text(json.dumps(model | {"parameters": {"uri": str(forest.file)}}))


def _named(rows: Sequence[Row]) -> dict:
    return {"features": dict(rows[0])} if len(rows) == 1 else {"rows": [dict(row) for row in rows]}


def _listed(rows: Sequence[Row]) -> dict:
    return {"rows": [dict(row) for row in rows]}


def _split(rows: Sequence[Row]) -> dict:
    return {"dataframe_split": {"columns": NAMES, "data": [[row[name] for name in NAMES] for row in rows]}}


def _tensor(rows: Sequence[Row]) -> dict:
    data = [row[name] for row in rows for name in NAMES]
    return {"inputs": [{"name": "rows", "shape": [len(rows), len(NAMES)], "datatype": "FP64", "data": data}]}


def _one_or_many(rows: Sequence[Row]) -> str:
    return "/score" if len(rows) == 1 else "/scores"


PEERS = [
    Peer("fastapi", "fastapi", _uvicorn("fastapi_score"), _one_or_many, _named, lambda said: said["scores"]),
    Peer("by hand", "fastapi", _uvicorn("fastapi_record"), _one_or_many, _named, lambda said: said["scores"]),
    Peer("mlflow", "mlflow", _mlflow, lambda rows: "/invocations", _split, lambda said: said["predictions"]),
    Peer(
        "mlserver",
        "mlserver",
        lambda forest, port, count: [str(environments.python("mlserver").with_name("mlserver")), "start", "."],
        lambda rows: "/v2/models/forest/infer",
        _tensor,
        lambda said: said["outputs"][0]["data"],
        _mlserver,
    ),
    Peer(
        "bentoml",
        "bentoml",
        lambda forest, port, count: ["-m", "bentoml", "serve", "bento:Served", "--port", str(port)],
        lambda rows: "/score",
        _listed,
        lambda said: said["scores"],
        lambda folder, *_: (folder / "bento.py").write_bytes((SERVED / "bento.py").read_bytes()),
    ),
    Peer(
        "litserve",
        "litserve",
        lambda forest, port, count: [str(SERVED / "lit.py")],
        lambda rows: "/predict",
        _listed,
        lambda said: said["scores"],
    ),
]


@contextmanager
def served(peer: Peer, forest: Forest, folder: Path, count: int, record_url: str) -> Iterator[Target]:
    """Run a peer with so many processes until it answers what the booster says, and end it afterwards."""
    port = free_port()
    place = folder / f"{peer.name.replace(' ', '-')}-{count}"
    place.mkdir(parents=True)
    peer.prepare(place, forest, port, count)
    python = environments.python(peer.environment)
    told = {
        **{name: os.environ[name] for name in ("HOME", "LANG", "LD_LIBRARY_PATH") if name in os.environ},
        "PATH": f"{python.parent}:{os.environ['PATH']}",
        "MODEL_FILE": str(forest.file),
        "RECORD_URL": record_url,
        "PROCESSES": str(count),
        "PORT": str(port),
        "OMP_NUM_THREADS": "1",
        "DO_NOT_TRACK": "1",
        "BENTOML_DO_NOT_TRACK": "True",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        **peer.told,
    }
    with (place / "log").open("wb") as log:
        words = [str(python), *peer.words(forest, port, count)]
        root = subprocess.Popen(words, cwd=place, env=told, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
    family = lambda: processes.family(root.pid)  # noqa: E731
    target = Target(peer.name, port, peer.path, peer.body, peer.scores, family)
    try:
        _until_right(target, forest, root, place / "log")
        yield target
    finally:
        processes.tell(reversed(family()), signal.SIGKILL)
        root.wait()


def _until_right(target: Target, forest: Forest, root: subprocess.Popen, log: Path) -> None:
    end = time.monotonic() + PATIENCE
    while True:
        try:
            demand_right(target, forest)
        except OSError as error:
            if root.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"{target.name} does not answer ({error}): {log.read_text()[-2000:]}") from error
            time.sleep(0.25)
        else:
            return


def demand_right(target: Target, forest: Forest) -> None:
    """Raise unless it answers, one row and a hundred, what the booster itself says: nobody is measured wrong."""
    for count in (1, 100) if target.batches else (1,):
        rows, wanted = forest.rows[:count], forest.scores[:count]
        found = target.ask(rows)
        if len(found) != count or max(abs(a - b) for a, b in zip(found, wanted, strict=True)) > 1e-12:
            raise ValueError(f"{target.name} answers {found[:3]}, and the booster {wanted[:3]}.")
