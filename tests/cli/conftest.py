"""The console script as it is installed, on a machine that knows nothing of Django; a model folder with its data."""

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from governance.demo import payments
from governance.demo.clients import program, until
from tests import builders, running

_TOKEN = re.compile(r"csn_[\w-]{20,}")
SCRIPT = Path(sys.executable).with_name("countersign")
SEARCH = "/api/2.0/mlflow/experiments/search"
DATA = [
    *("--label", payments.LABEL, "--time", payments.TIME),
    *(word for name in payments.PROTECTED for word in ("--protected", name)),
]


@dataclass
class Said:
    """What the script said and how it ended."""

    code: int
    out: str
    err: str

    @property
    def json(self):
        return json.loads(self.out)


class Terminal:
    """A home folder of its own, and what its environment names."""

    def __init__(self, home, **told):
        kept = {name: os.environ[name] for name in ("PATH", "LANG", "LD_LIBRARY_PATH") if name in os.environ}
        places = {f"XDG_{name}_HOME": str(home / name.lower()) for name in ("CONFIG", "STATE")}
        self.home, self.environment = home, {**kept, "HOME": str(home), **places, **told}

    def start(self, *words, typed="", **told):
        return subprocess.Popen(
            [SCRIPT, *map(str, words)],
            env={**self.environment, **told},
            cwd=self.home,
            stdin=subprocess.PIPE if typed else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def __call__(self, *words, typed="", **told):
        process = self.start(*words, typed=typed, **told)
        out, err = process.communicate(typed or None, timeout=240)
        assert "Traceback" not in err
        assert not _TOKEN.search(out + err), "a token was shown"
        return Said(process.returncode, out, err)


@pytest.fixture(scope="session")
def work(tmp_path_factory):
    """A folder as a training script leaves it: the model, its data, and a holdout whose labels mean nothing."""
    folder = tmp_path_factory.mktemp("work")
    for name, content in builders.model_files().items():
        file = folder / "model" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    made = builders.trained()
    for role in ("training", "holdout", "golden"):
        (folder / f"{role}.parquet").write_bytes(builders.parquet(getattr(made, role)))
    shuffled = made.holdout.copy()
    shuffled[payments.LABEL] = np.random.default_rng(5).permutation(shuffled[payments.LABEL].to_numpy())
    (folder / "shuffled.parquet").write_bytes(builders.parquet(shuffled))
    return folder


@pytest.fixture(scope="session")
def cli(platform, tmp_path_factory):
    """Ada's terminal, once the tracking server is there too."""
    ada = program(platform.url, platform.tokens["ada"])
    until("the tracking server answers", lambda: ada.post(SEARCH, json={"max_results": 1}).is_success)
    return Terminal(
        tmp_path_factory.mktemp("ada"), COUNTERSIGN_URL=platform.url, COUNTERSIGN_TOKEN=platform.tokens["ada"]
    )


@pytest.fixture(scope="session")
def clara(platform, tmp_path_factory):
    """The terminal of compliance."""
    issued = subprocess.run(
        [sys.executable, "manage.py", "issue_token", "clara", "--name", "terminal"],
        cwd=running.ROOT,
        env={name: value for name, value in platform.environment().items() if name != "DATABASE_URL"},
        capture_output=True,
        text=True,
        check=True,
    )
    told = {"COUNTERSIGN_URL": platform.url, "COUNTERSIGN_TOKEN": issued.stdout.strip()}
    return Terminal(tmp_path_factory.mktemp("clara"), **told)


def data(work, holdout="holdout"):
    """Return the options that name the data sets of a folder."""
    files = {"training": "training", "reference": "training", "holdout": holdout, "golden": "golden"}
    return [*(word for role, name in files.items() for word in (f"--{role}", work / f"{name}.parquet")), *DATA]
