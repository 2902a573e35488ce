"""Kill intake workers at random while they pin versions, and count what is half-pinned afterwards: it must be nothing.

`make hammer-intake KILLS=100` does so many times what the suite does a few times.
"""

import os
import random
import subprocess
import sys
import time
from pathlib import Path

from django.conf import settings
from django.db import connection

from registry import artifacts, ledger, registrations
from registry import versions as registered
from registry.models import LedgerEntry, ModelVersion, Registration
from tests import builders, running

LARGE = 24_000_000  # bytes of the file that a worker is busy with most of the time


def strike(people, root: Path, *, kills: int) -> dict[str, int]:
    """Kill a worker so many times while it pins what was asked for, let a last one finish, and count."""
    model, draw = builders.a_model(people.ada), random.Random(os.urandom(8))
    done = 0
    while done < kills or _waits():
        if done < kills and not _waits():
            for number in range(3):
                folder = _folder(root / f"model-{done}-{number}", draw.randbytes(LARGE))
                registrations.ask(model=model, source=f"file://{folder}", by=people.ada, now=builders.now())
        worker = _worker(root)
        if done < kills:
            time.sleep(draw.uniform(0.6, 3.0))
            worker.kill()
            done += worker.wait() != 0
        worker.wait()
    pinned = ModelVersion.objects.filter(model=model)
    left = Registration.objects.count() - pinned.count()
    return {"kills": done, "pinned": pinned.count(), "left": left, "half-pinned": sum(map(_is_half, pinned))}


def _waits() -> bool:
    return Registration.objects.filter(version=None, refusal=None).exists()


def _folder(folder: Path, large: bytes) -> Path:
    for path, data in {**builders.model_files(), "weights": large}.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)
    return folder


def _worker(root: Path) -> subprocess.Popen:
    told = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "tests.settings",
        "INTAKE_DATABASE": str(connection.settings_dict["NAME"]),
        "INTAKE_STORE": str(settings.STORAGES["artifacts"]["OPTIONS"]["location"]),
        "INTAKE_ROOTS": str(root),
    }
    return subprocess.Popen([sys.executable, "-m", "tests.intake_worker"], cwd=running.ROOT, env=told)


def _is_half(version: ModelVersion) -> bool:
    """Say whether a version lacks a file, has a changed one, or is not entered once under its digest."""
    entered = LedgerEntry.objects.filter(subject=f"version:{version.pk}", event="version.registered")
    said = [ledger.facts_of(entry)["version"] for entry in entered]
    digests = [file["sha256"] for file in version.artifact.values()]
    whole = all(artifacts.rehash(digest) == digest for digest in digests)
    named = registered.canonical.digest(registered.manifest(version))
    return not whole or said != [version.digest] or named != version.digest or "weights" not in version.artifact
