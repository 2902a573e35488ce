"""A scoring process on a test's own database: gunicorn, its worker, its settings and its role, as in production."""

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

import httpx
from django.db import connection

from governance.platform.processes import LOOP, gunicorn
from tests.running import ROOT, free_port

PATIENCE = 90


@dataclass(frozen=True)
class Answering:
    """Where it answers, and a client with a token of the decision engine."""

    url: str
    token: str
    client: httpx.Client


@contextmanager
def scoring_process(token: str, worker: str = LOOP, **told: str) -> Iterator[Answering]:
    """Start it with further settings, wait until it answers, stop it."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    argv = [*gunicorn(worker, f"127.0.0.1:{port}"), "--keep-alive", "75", "--log-level", "warning"]
    process = subprocess.Popen(argv, cwd=ROOT, env=_environment() | told)
    headers = {"Authorization": f"Bearer {token}"}
    try:
        with httpx.Client(base_url=url, headers=headers, timeout=PATIENCE, trust_env=False) as client:
            _wait(process, client)
            yield Answering(url, token, client)
    finally:
        process.terminate()
        process.wait(PATIENCE)


def _environment() -> dict[str, str]:
    """Return the environment of a scoring process on the test's own database and folders."""
    url = urlsplit(os.environ["DATABASE_URL"])
    role = f"options={quote('-c role=countersign_scoring')}"
    query = "&".join(part for part in (url.query, role) if part)
    database = url._replace(path=f"/{connection.settings_dict['NAME']}", query=query).geturl()
    told = {
        "DATABASE_URL": database,
        "PROCESS": "scoring",
        "WEB_CONCURRENCY": "1",
        "DJANGO_SETTINGS_MODULE": "governance.settings",
    }
    return {**os.environ, **told}


def _wait(process: subprocess.Popen, client: httpx.Client) -> None:
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end and process.poll() is None:
        with suppress(httpx.TransportError):
            if client.get("/ready").status_code == 200:
                return
        time.sleep(0.05)
    raise RuntimeError("The scoring process did not start.")
