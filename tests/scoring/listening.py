"""gunicorn as the platform runs it for scoring, on the database of the tests; what is sent and comes back, by bytes."""

import json
import os
import re
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

from django.conf import settings
from django.db import connection
from django.utils import timezone

from governance.platform import processes
from governance.platform.processes import LOOP, THREADS
from registry import people
from tests import builders
from tests.installations import until
from tests.running import ROOT, free_port

PATH = "/api/v1/models/fraud/score"


def database(**options: str) -> str:
    """Return the address of the test database for the role of scoring; `options` of the address win."""
    told = connection.settings_dict
    options = {"host": told["HOST"], "port": str(told["PORT"]), "options": "-c role=countersign_scoring"} | options
    words = "&".join(f"{name}={quote(value)}" for name, value in options.items() if value)
    return f"postgresql://{quote(told['USER'])}:{quote(told['PASSWORD'])}@/{told['NAME']}?{words}"


@dataclass
class Server:
    """A running server, and the token that it lets score."""

    address: tuple[str, int] | str
    process: subprocess.Popen
    token: str
    log: Path

    @contextmanager
    def connected(self) -> Iterator["Client"]:
        """Connect to it."""
        family = socket.AF_UNIX if isinstance(self.address, str) else socket.AF_INET
        with socket.socket(family) as sock:
            sock.settimeout(30)
            sock.connect(self.address)
            yield Client(sock, self.token)

    def workers(self) -> list[int]:
        """Return the process numbers of its workers."""
        return [int(n) for n in Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()]

    def answers(self) -> bool:
        """Say whether it answers."""
        try:
            with self.connected() as client:
                return client.get("/ready").status == 200
        except OSError:
            return False


@dataclass
class Answer:
    """What came back."""

    status: int
    headers: dict[str, str]
    body: bytes
    version: str

    def json(self):
        """Return what the body says."""
        return json.loads(self.body)


@dataclass
class Client:
    """One connection."""

    sock: socket.socket
    token: str
    kept: bytes = field(default=b"")

    def head(self, length: int | None, *, path: str = PATH, method: str = "POST", more: str = "") -> bytes:
        """Return the head of a request."""
        size = "" if length is None else f"Content-Length: {length}\r\n"
        told = (
            f"Host: localhost\r\nAuthorization: Bearer {self.token}\r\nContent-Type: application/json\r\n{size}{more}"
        )
        return f"{method} {path} HTTP/1.1\r\n{told}\r\n".encode()

    def send(self, data: bytes) -> None:
        """Send bytes."""
        self.sock.sendall(data)

    def post(self, body, **told) -> Answer:
        """Ask and return the answer."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send(self.head(len(data), **told) + data)
        return self.answer()

    def get(self, path: str, method: str = "GET", more: str = "") -> Answer:
        """Ask without a body."""
        self.send(self.head(None, path=path, method=method, more=more))
        return self.answer(method)

    def answer(self, method: str = "POST") -> Answer:
        """Read one answer to its end."""
        while b"\r\n\r\n" not in self.kept:
            self._more()
        head, _, self.kept = self.kept.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin1").split("\r\n")
        headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
        found = re.fullmatch(r"HTTP/(1\.[01]) (\d{3}) ?.*", first)
        assert found, first
        status = int(found[2])
        if status in (100, 204, 304) or method == "HEAD":
            return Answer(status, headers, b"", found[1])
        return Answer(status, headers, self._whole(headers), found[1])

    def _whole(self, headers: dict[str, str]) -> bytes:
        """Read a body: by its length, in chunks, or to the end of the connection."""
        if "transfer-encoding" in headers:
            return b"".join(iter(self._chunk, b""))
        if "content-length" in headers:
            return self._bytes(int(headers["content-length"]))
        with suppress(ConnectionError):
            while True:
                self._more()
        return self._bytes(len(self.kept))

    def _chunk(self) -> bytes:
        while b"\r\n" not in self.kept:
            self._more()
        size, _, self.kept = self.kept.partition(b"\r\n")
        return self._bytes(int(size, 16) + 2)[:-2]

    def _bytes(self, count: int) -> bytes:
        while len(self.kept) < count:
            self._more()
        found, self.kept = self.kept[:count], self.kept[count:]
        return found

    def is_hung_up(self, patience: float = 10) -> bool:
        """Say whether the server ends the connection, with nothing more to say."""
        self.sock.settimeout(patience)
        try:
            return not self.kept and not self.sock.recv(1)
        except TimeoutError:
            return False
        except ConnectionError:
            return True

    def _more(self) -> None:
        data = self.sock.recv(65536)
        if not data:
            raise ConnectionError(f"hung up after {self.kept!r}")
        self.kept += data


@contextmanager
def serving(
    token: str, *options: str, worker: str = LOOP, bind: str = "", url: str = "", **more: str
) -> Iterator[Server]:
    """Start it as the platform does, with other or more options of gunicorn, and stop it."""
    port = free_port()
    kept = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"}
    env = kept | {
        "PROCESS": "scoring",
        "DATABASE_URL": url or database(),
        "DJANGO_SETTINGS_MODULE": "governance.settings",
    }
    argv = processes.gunicorn(THREADS if worker == THREADS else LOOP, bind or f"127.0.0.1:{port}")
    home = Path(settings.HOME) / f"server-{port}"  # of its own, so that no other takes over what its journal keeps
    home.mkdir()
    env["COUNTERSIGN_HOME"], path = str(home), home / "gunicorn.log"
    with path.open("wb") as log:
        started = subprocess.Popen(
            [*argv, "-k", worker, "--keep-alive", "30", *options],
            cwd=ROOT,
            env=env | more,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    server = Server(bind.removeprefix("unix:") or ("127.0.0.1", port), started, token, path)
    try:
        until(lambda: started.poll() is not None or server.answers(), f"it answers: {path.read_text()[-2000:]}")
        assert started.poll() is None, path.read_text()[-4000:]
        yield server
    finally:
        if started.poll() is None:
            started.send_signal(signal.SIGTERM)
            try:
                started.wait(20)
            except subprocess.TimeoutExpired:
                os.killpg(started.pid, signal.SIGKILL)
                started.wait(5)
                raise


def a_token(owner) -> str:
    """Give somebody a token for all that scoring answers."""
    told = {"name": "test", "days": 1, "by": owner, "now": timezone.now()}
    return people.issue_token(owner=owner, scopes=("scoring.score", "scoring.record_outcome", "registry.read"), **told)[
        1
    ]


def row(place: int = 0) -> dict[str, object]:
    """Return what asks for the score of a row."""
    return {"features": builders.features(place)}
