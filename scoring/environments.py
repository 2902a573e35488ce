"""What decisions are computed with: the processor, the libraries, our own code; known by a digest that answers name.

A replay whose bits differ is explained by what differs here. Each process finds out once; a new environment is put on
record when the process first loads a model.
"""

import functools
import hashlib
import platform
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import transaction

from registry import canonical, ledger
from scoring.events import Event
from scoring.models import Environment

PARTS = ("cpu", "libraries", "code")
_COMMON = ("numpy", "numba", "llvmlite")
_LIBRARIES = {
    "lightgbm": ("lightgbm",),
    "xgboost": ("xgboost-cpu", "xgboost"),
    "sklearn": ("scikit-learn", "skops", "scipy", "shap"),
    "onnx": ("onnxruntime", "shap"),
}
_ROOT = Path(__file__).resolve().parent
# What turns inputs into bits: the schema's encoding, the runtimes, and what is answered from their numbers.
_CODE = ("runtimes/**/*.py", "treeshap/**/*.py", "asking.py", "answering.py", "reasons.py", "../registry/schema.py")


@functools.cache
def content(flavour: str) -> dict[str, dict[str, str]]:
    """Return what this process computes models of a flavour with: name → value of each part.

    `cpu`: model, instruction sets, architecture; `libraries`: their versions; `code`: digests of files of ours.
    """
    return {"cpu": _cpu(), "libraries": _libraries(flavour), "code": _code()}


@functools.cache
def digest(flavour: str) -> str:
    """Return the digest of this process's environment for models of a flavour."""
    return canonical.digest(content(flavour))


def record(flavour: str, *, now: datetime) -> str:
    """Put this process's environment on record, once for all processes that share it; return its digest."""
    with transaction.atomic():
        told = {"content": content(flavour), "seen_at": now}
        row, made = Environment.objects.get_or_create(digest=digest(flavour), defaults=told)
        if made:
            actor = "service:scoring" if settings.PROCESS == "scoring" else "service:explainer"
            subject, facts = f"environment:{row.digest}", {"environment": row.digest}
            ledger.append(Event.ENVIRONMENT_SEEN, subject=subject, actor=actor, at=now, facts=facts)
    return row.digest


def differences(before: Mapping[str, Any] | None, after: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return for each part that differs the lines that say what: libraries, files of ours, the processor."""
    if before is None:
        return {}
    found: dict[str, list[str]] = {}
    for part in PARTS:
        old, new = before.get(part, {}), after.get(part, {})
        if changed := sorted(name for name in old.keys() | new.keys() if old.get(name) != new.get(name)):
            found[part] = [f"{name} {old.get(name, 'none')} → {new.get(name, 'none')}"[:200] for name in changed]
    return found


def _cpu() -> dict[str, str]:
    said = {"architecture": platform.machine(), "model": platform.processor() or "unknown", "instructions": ""}
    info = Path("/proc/cpuinfo")
    for line in info.read_text().split("\n\n")[0].splitlines() if info.exists() else ():
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            said["model"] = value.strip()
        elif name.strip() in ("flags", "Features"):
            said["instructions"] = " ".join(sorted(word for word in value.split() if _computes(word)))
    return said


def _computes(flag: str) -> bool:
    """Say whether a flag names instructions that compute with floating point numbers."""
    return flag.startswith(("sse", "ssse", "avx", "fma", "f16c", "asimd", "sve", "amx"))


def _libraries(flavour: str) -> dict[str, str]:
    found = {"python": platform.python_version(), "libc": "".join(platform.libc_ver())}
    for name in (*_COMMON, *_LIBRARIES.get(flavour, ())):
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


def _code() -> dict[str, str]:
    paths = sorted(path.resolve() for pattern in _CODE for path in _ROOT.glob(pattern))
    digests = {str(path.relative_to(_ROOT.parent)): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}
    return {path: digest[:16] for path, digest in digests.items()}
