"""A database that can be cut off from a server, and a scoring server of its own that is connected to it so."""

import os
import selectors
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import quote

import httpx
from django.conf import settings
from django.db import connection

from tests import running

SOCKET = ".s.PGSQL.5432"


class Line:
    """What connects a server with PostgreSQL: a socket of its own that can be cut and mended."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="line-"))
        params = connection.get_connection_params()
        self._database = f"{params['host']}/.s.PGSQL.{params.get('port') or 5432}"
        self._pairs: dict[socket.socket, socket.socket] = {}
        self._selector = selectors.DefaultSelector()
        self._listener: socket.socket | None = None
        self.delay = 0.0  # seconds that it takes to carry something
        self._lock, self._ended = threading.Lock(), False
        self.hangs = False  # then nothing is carried, and nobody is told
        self.mend()
        self._thread = threading.Thread(target=self._carry, daemon=True)
        self._thread.start()

    def url(self) -> str:
        """Return where a server finds the test database, as the role that scores."""
        params = connection.get_connection_params()
        who = f"{quote(str(params['user']))}:{quote(str(params.get('password') or ''))}"
        role = quote("-c role=countersign_scoring")
        return f"postgresql://{who}@/{params['dbname']}?host={quote(str(self.folder))}&options={role}"

    def mend(self) -> None:
        with self._lock:
            self._listener = socket.socket(socket.AF_UNIX)
            self._listener.bind(str(self.folder / SOCKET))
            self._listener.listen(100)
            self._listener.setblocking(False)
            self._selector.register(self._listener, selectors.EVENT_READ)

    def cut(self) -> None:
        """Nobody is connected any more, and nobody can connect."""
        with self._lock:
            (self.folder / SOCKET).unlink()
            for end in [*([self._listener] if self._listener else []), *self._pairs]:
                self._close(end)
            self._pairs.clear()
            self._listener = None

    def end(self) -> None:
        self._ended = True
        self._thread.join()
        if self._listener:
            self.cut()
        shutil.rmtree(self.folder)

    def _close(self, end: socket.socket) -> None:
        with suppress(KeyError):
            self._selector.unregister(end)
        end.close()

    def _carry(self) -> None:
        while not self._ended:
            if self.hangs:
                time.sleep(0.05)
                continue
            for key, _ in self._selector.select(0.05):
                with self._lock:
                    if key.fileobj is self._listener:
                        self._accept()
                    elif key.fileobj in self._pairs:
                        self._forward(key.fileobj)

    def _accept(self) -> None:
        client, _ = self._listener.accept()
        server = socket.socket(socket.AF_UNIX)
        server.connect(self._database)
        for one, other in ((client, server), (server, client)):
            one.setblocking(True)
            self._pairs[one] = other
            self._selector.register(one, selectors.EVENT_READ)

    def _forward(self, end: socket.socket) -> None:
        other = self._pairs[end]
        try:
            data = end.recv(65536)
            time.sleep(self.delay)
            if data:
                other.sendall(data)
                return
        except OSError:
            pass
        for one in (end, other):
            self._pairs.pop(one, None)
            self._close(one)


@contextmanager
def line() -> Iterator[Line]:
    made = Line()
    try:
        yield made
    finally:
        made.end()


class Server:
    """A scoring server: gunicorn with the workers of the platform."""

    def __init__(self, home: Path, database: str, *, workers: int = 2, threads: int = 8, options: str = "") -> None:
        self.port = running.free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.home = home
        given = f"--workers {workers} --threads {threads} --bind 127.0.0.1:{self.port} --no-control-socket {options}"
        if "-k " not in options:
            given += " -k governance.listening.Worker"
        folders = {name: str(getattr(settings, name)) for name in ("PUBLISHED_LOG", "LOG_ANCHOR", "LOG_POLICY_FILE")}
        keys = {name: str(getattr(settings, name)) for name in ("LOG_VKEY_FILE", "WARRANT_VKEY_FILE")}
        env = {
            **{name: os.environ[name] for name in ("PATH", "HOME", "LD_LIBRARY_PATH") if name in os.environ},
            **folders,
            **keys,
            "COUNTERSIGN_HOME": str(home),
            "ARTIFACTS": settings.STORAGES["artifacts"]["OPTIONS"]["location"],
            "DATABASE_URL": database,
            "SECRET_KEY": "only for tests",
            "PROCESS": "scoring",
            "DJANGO_SETTINGS_MODULE": "governance.settings",
            "OMP_NUM_THREADS": "1",
            "LOG_LEVEL": "WARNING",
        }
        self.log = home / "server.log"
        home.mkdir(exist_ok=True, parents=True)
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "gunicorn", "governance.wsgi:application", *given.split()],
                cwd=running.ROOT,
                env=env,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def await_ready(self, *, seconds: float = 60) -> None:
        """Wait until several looks in a row, which reach every worker, find it ready."""
        end, ready = time.monotonic() + seconds, 0
        while ready < 8:
            assert time.monotonic() < end, self.log.read_text()[-3000:]
            assert self.process.poll() is None, self.log.read_text()[-3000:]
            ready = ready + 1 if self.status() == 200 else 0
            time.sleep(0.02 if ready else 0.1)

    def status(self, path: str = "/ready") -> int | None:
        with suppress(httpx.TransportError):
            return httpx.get(self.url + path, timeout=10).status_code
        return None

    def workers(self) -> list[int]:
        """Return the process numbers of its workers."""
        found = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        return [int(number) for number in found.split()]

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


@contextmanager
def server(home: Path, database: str, **given) -> Iterator[Server]:
    started = Server(home, database, **given)
    try:
        yield started
    finally:
        started.stop()
