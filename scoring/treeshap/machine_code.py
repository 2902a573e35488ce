"""Compiled functions kept on disk, one file for each signature and CPU, so that a process compiles nothing twice.

numba's own cache judges by the time and size of one source file, demands a folder that can be written, and numbers its
files in an index that two processes can write at once. Here a file is named by the digest of all that its code depends
on: sources, versions, signature, and CPU with its features, as numba tells them. So no process
takes another's code for its own, and a read-only image may bring the files along.

They lie in NUMBA_CACHE_DIR, or beside the code. Loading one runs it, as with the interpreter's own `__pycache__`: who
may write there may do anything as this process.
"""

import hashlib
import os
import pickle
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import llvmlite
import numba
from numba.core import caching, compiler, serialize
from numba.core.runtime import rtsys

_HERE = Path(__file__).resolve().parent
BESIDE = _HERE / "__pycache__"
_SOURCES = ("forest.py", "kernel.py", "vectors.py")  # what is compiled, and the constants in it


class Kept(caching._Cache):
    """What numba asks for the code of one function."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self._name = function.__qualname__

    @property
    def cache_path(self) -> str:
        """The folder that is written."""
        return str(_folders()[0])

    def load_overload(self, signature: Any, target: Any) -> Any:
        """Return compiled code, or None where no file holds it whole."""
        for folder in _folders():
            payload = _read(folder / self._file(signature, target.codegen()))
            if payload is not None:
                rtsys.initialize(target)  # what the code calls; a whole context would be 40 MB of what compiles
                return compiler.CompileResult._rebuild(target, *pickle.loads(payload))  # noqa: S301 - see above
        return None

    def save_overload(self, signature: Any, compiled: Any) -> None:
        """Keep compiled code where that is possible: a place that cannot be written costs time, nothing else."""
        with suppress(OSError):
            _write(Path(self.cache_path, self._file(signature, compiled.codegen)), serialize.dumps(compiled._reduce()))

    def _file(self, signature: Any, codegen: Any) -> str:
        told = repr((_stamp(), self._name, str(signature), codegen.magic_tuple()))
        return f"{self._name}-{hashlib.sha256(told.encode()).hexdigest()}.nbc"

    def enable(self) -> None:
        """Nothing: it always is."""

    def disable(self) -> None:
        """Nothing: it always is."""

    def flush(self) -> None:
        """Nothing: a file is never wrong, and never overwritten by another's."""


def _folders() -> list[Path]:
    told = numba.config.CACHE_DIR
    return [Path(told), BESIDE] if told else [BESIDE]


@cache
def _stamp() -> str:
    sources = hashlib.sha256(b"\0".join((_HERE / name).read_bytes() for name in _SOURCES))
    return repr((sources.hexdigest(), numba.__version__, llvmlite.__version__, sys.version, sys.platform))


def _read(path: Path) -> bytes | None:
    """Return what was written, if all of it is there."""
    try:
        content = path.read_bytes()
    except OSError:
        return None
    digest, payload = content[:32], content[32:]
    return payload if hashlib.sha256(payload).digest() == digest else None


def _write(path: Path, payload: bytes) -> None:
    """Write a file whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".writing-")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(hashlib.sha256(payload).digest() + payload)
        os.replace(name, path)
    except OSError:
        os.unlink(name)
        raise
