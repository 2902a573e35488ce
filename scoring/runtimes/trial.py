"""A process that scans a model's files, loads the model and proves its explanation: it may die of it, nobody else does.

It has no credential in its environment, no network where the kernel lets it give that up, and for each model a child of
its own with bounds on memory and time. It reads a line of JSON for each (folder, flavour, file, features) and answers
with one: `scan`; `refused`, why the model cannot be served; `explanation`, how it is explained and what proved that;
`died`, of what the child died.
"""

import ctypes
import importlib
import json
import os
import resource
import select
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from registry.intake import scanning
from registry.refusals import Refusal
from scoring import runtimes
from scoring.runtimes import proof
from scoring.treeshap import explainer

SECONDS = 120  # that a model has to be scanned and loaded
MEMORY = 8 * 1024**3  # bytes of address space
_LIMITS = {
    resource.RLIMIT_AS: MEMORY,
    resource.RLIMIT_CPU: SECONDS,
    resource.RLIMIT_CORE: 0,
    resource.RLIMIT_FSIZE: 0,  # nothing that is scanned or loaded needs to write
}
_NEWUSER, _NEWNET = 0x10000000, 0x40000000  # CLONE_NEWUSER, CLONE_NEWNET of sched.h


def examine(folder: Path, flavour: str, file: str, features: int) -> dict[str, Any]:
    """Scan a model's files and, if a runtime serves its flavour and nothing stands against it, load and explain it."""
    scan = scanning.scan(folder)
    if scan.bombs or scan.dangerous or not features or flavour not in runtimes.FLAVOURS:
        return {"scan": scan.dump()}
    try:
        runtime = runtimes.load(flavour, {file: (folder / file).read_bytes()}, file, features)
    except Refusal as refusal:
        return {"scan": scan.dump(), "refused": refusal.detail}
    return {"scan": scan.dump(), "refused": "", "explanation": proof.explanation(runtime)}


def attempt(asked: dict[str, Any]) -> dict[str, Any]:
    """Examine a model in a child; say of what it died, if it did."""
    read, write = os.pipe()
    child = os.fork()
    if not child:
        _child(write, asked)
    os.close(write)
    ready = select.select([read], [], [], SECONDS)[0]
    with os.fdopen(read, "rb") as answer:
        if not ready:
            os.kill(child, signal.SIGKILL)
        said = answer.read()
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if not ready:
        return {"died": f"of taking more than {SECONDS} seconds"}
    if status or not said:
        return {"died": f"by {signal.Signals(-status).name}" if status < 0 else f"with exit code {status}"}
    return dict(json.loads(said))


def _child(write: int, asked: dict[str, Any]) -> None:
    """Do the work and end, whatever happens: the parent's stack is not this process's to unwind."""
    code = 1
    try:
        silence = os.open(os.devnull, os.O_WRONLY)
        os.dup2(silence, 1)
        os.dup2(silence, 2)
        for limit, most in _LIMITS.items():
            resource.setrlimit(limit, (most, most))
        os.write(write, json.dumps(_said(asked), ensure_ascii=False).encode())
        code = 0
    finally:
        os._exit(code)


def _said(asked: dict[str, Any]) -> dict[str, Any]:
    try:
        return examine(Path(asked["folder"]), asked["flavour"], asked["file"], asked["features"])
    except Exception as fault:  # noqa: BLE001 - whatever a library makes of hostile bytes
        return {"died": f"of {type(fault).__name__}: {str(fault)[:200]}"}


def _leave_the_network() -> bool:
    """Enter a network of one's own, without any interface; False where the kernel forbids it."""
    return ctypes.CDLL(None, use_errno=True).unshare(_NEWUSER | _NEWNET) == 0


def main() -> None:
    """Answer until nobody asks any more."""
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what libraries print is no answer
    isolated = _leave_the_network()
    for line in sys.stdin:
        asked = json.loads(line)
        if asked["flavour"] in runtimes.FLAVOURS:  # before the fork: once, however many models
            with suppress(ModuleNotFoundError):  # the load says which
                importlib.import_module(f"scoring.runtimes.{asked['flavour']}_runtime")
                explainer.compile_all()
                importlib.import_module("scoring.runtimes.shap_library")
        answers.write(json.dumps({**attempt(asked), "network": not isolated}) + "\n")


if __name__ == "__main__":
    main()
