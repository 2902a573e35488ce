"""Start the platform as `make run` does, wait until it answers, stop it."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx
from django.conf import settings

ROOT = Path(__file__).resolve().parent.parent
PATIENCE = 120
CHROMIUM_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def chromium() -> str | None:
    """Return the path of a browser: CHROMIUM, or what the system has."""
    names = [os.environ.get("CHROMIUM", ""), "chromium", "chromium-browser", "google-chrome"]
    return next((path for name in names if name and (path := shutil.which(name))), None)


@dataclass(frozen=True)
class Platform:
    """A running platform: where it answers, and who may sign in."""

    url: str
    scoring_url: str
    home: Path
    passwords: dict[str, str]
    tokens: dict[str, str]
    process: subprocess.Popen

    def environment(self) -> dict[str, str]:
        return {
            **os.environ,
            "PUBLIC_URL": self.url,
            "SCORING_URL": self.scoring_url,
            "COUNTERSIGN_HOME": str(self.home),
        }

    def processes(self) -> dict[int, dict[str, str]]:
        """Return the environment of each living process of this platform by its number, as /proc shows its owner."""
        found = {}
        for folder in (path for path in Path("/proc").iterdir() if path.name.isdigit()):
            try:
                items = (folder / "environ").read_bytes().decode().split("\0")
            except (OSError, UnicodeDecodeError):
                continue
            told = dict(item.split("=", 1) for item in items if "=" in item)
            if told.get("COUNTERSIGN_HOME") == str(self.home) and "PROCESS" in told:
                found[int(folder.name)] = told
        return found

    def kill(self, name: str) -> int:
        """Kill a process and its children so that none can say goodbye; return how many there were."""
        return kill(self.numbers(name))

    def numbers(self, name: str) -> list[int]:
        """Return the numbers of a process and its children."""
        return [number for number, told in self.processes().items() if told["PROCESS"] == name]

    def database(self, role: str | None = None) -> str:
        """Return the address at which a process finds the database, or what its owner would connect with."""
        url = next(told["DATABASE_URL"] for told in self.processes().values() if told["PROCESS"] == "web")
        if role is None:
            return url
        password = (self.home / "secrets" / role).read_text().strip()
        return f"postgresql://{role}:{password}@{url.partition('@')[2]}"


def kill(numbers: list[int]) -> int:
    """Kill these at once; return how many there were."""
    for number in numbers:
        os.kill(number, signal.SIGKILL)
    return len(numbers)


def own_database(url: str, name: str | None = None) -> str:
    """Return the address of this test's database, or of one of another name, for a program of its own."""
    base, _, query = url.partition("?")
    name = name or settings.DATABASES["default"]["NAME"]
    return f"{base.rpartition('/')[0]}/{name}" + (f"?{query}" if query else "")


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@contextmanager
def platform(home: Path) -> Iterator[Platform]:
    ports = {"WEB_PORT": str(free_port()), "SCORING_PORT": str(free_port())}
    kept = {
        name: os.environ[name]
        for name in ("PATH", "HOME", "LANG", "LD_LIBRARY_PATH", "COUNTERSIGN_PG_BIN")
        if name in os.environ
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "governance.platform", "run"],
        cwd=ROOT,
        env={**kept, **ports, "COUNTERSIGN_HOME": str(home), "WEBHOOK_ALLOWED_HOSTS": "127.0.0.1"},
        start_new_session=True,
    )
    urls = [f"http://127.0.0.1:{port}" for port in ports.values()]
    try:
        _wait(process, [f"{url}/health" for url in urls])
        known = json.loads((home / "secrets" / "demo_people.json").read_text())
        yield Platform(urls[0], urls[1], home, known["passwords"], known["tokens"], process)
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(60)


def _wait(process: subprocess.Popen, addresses: list[str]) -> None:
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end and process.poll() is None:
        with suppress(httpx.TransportError):
            if all(httpx.get(address).status_code == 200 for address in addresses):
                return
        time.sleep(0.2)
    raise RuntimeError("The platform did not start; its log folder says why.")
