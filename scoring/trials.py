"""Ask the process that scans models and loads them for the first time; start it when there is none."""

import json
import os
import select
import subprocess
import sys
from pathlib import Path
from typing import Any

from registry.refusals import Unavailable

_ROOT = Path(__file__).resolve().parent.parent
_KEPT = ("PATH", "LD_LIBRARY_PATH", "LANG", "NUMBA_CACHE_DIR")
PATIENCE = 180  # seconds; it bounds each model by itself, this is for itself
_running: list[subprocess.Popen[str]] = []


def examine(folder: Path, flavour: str, file: str, features: int) -> dict[str, Any]:
    """Return what `scoring.runtimes.trial` says about the model in a folder; Unavailable when it says nothing."""
    process = _process()
    try:
        asked = {"folder": str(folder), "flavour": flavour, "file": file, "features": features}
        said = _answer(process, json.dumps(asked))
    except OSError:
        said = ""
    if not said:
        end()
        raise Unavailable("The process that scans models and loads them first gave no answer. It is started anew.")
    return dict(json.loads(said))


def _answer(process: "subprocess.Popen[str]", line: str) -> str:
    """Send a line and return the one that is answered; nothing when none comes."""
    if process.stdin is None or process.stdout is None:
        return ""
    process.stdin.write(line + "\n")
    process.stdin.flush()
    return process.stdout.readline() if select.select([process.stdout], [], [], PATIENCE)[0] else ""


def end() -> None:
    """End the process, if there is one."""
    while _running:
        process = _running.pop()
        process.kill()
        process.communicate()


def _process() -> subprocess.Popen[str]:
    if _running and _running[0].poll() is None:
        return _running[0]
    end()
    env = {name: os.environ[name] for name in _KEPT if name in os.environ} | {"OMP_NUM_THREADS": "1"}
    argv = [sys.executable, "-m", "scoring.runtimes.trial"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    _running.append(subprocess.Popen(argv, cwd=_ROOT, env=env, text=True, **pipes))  # type: ignore[call-overload]
    return _running[0]
