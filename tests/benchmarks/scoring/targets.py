"""A server under load, ours or another's: how it is asked, what it answers, and how it is held still meanwhile."""

import json
import signal
import socket
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from tests.benchmarks.scoring import processes

Row = Mapping[str, float]


@dataclass(frozen=True)
class Target:
    """One running server.

    `path` and `body` take rows and give where and what to ask; `scores` reads an answer's scores. `family`: every
    process whose CPU counts, and that is stopped while others are measured. `parts`: some whose CPU is told beside it.
    """

    name: str
    port: int
    path: Callable[[Sequence[Row]], str]
    body: Callable[[Sequence[Row]], dict]
    scores: Callable[[dict], list[float]]
    family: Callable[[], list[int]]
    headers: Mapping[str, str] = field(default_factory=dict)
    batches: bool = True
    parts: Mapping[str, Callable[[], list[int]]] = field(default_factory=dict)

    def request(self, rows: Sequence[Row], **more: object) -> bytes:
        """Return a whole HTTP request for these rows; `more`: further members of its body."""
        data = json.dumps(self.body(rows) | more).encode()
        lines = [
            f"POST {self.path(rows)} HTTP/1.1",
            f"Host: 127.0.0.1:{self.port}",
            "Content-Type: application/json",
            f"Content-Length: {len(data)}",
            *(f"{name}: {value}" for name, value in self.headers.items()),
        ]
        return "\r\n".join(lines).encode() + b"\r\n\r\n" + data

    def requests(self, rows: Sequence[Row], at_once: int) -> list[bytes]:
        """Return requests that go through the rows, so many in each."""
        if at_once == 1:
            return [self.request([row]) for row in rows]
        endless = [*rows, *rows[:at_once]]
        return [self.request(endless[start : start + at_once]) for start in range(0, len(rows), len(rows) // 8)]

    def ask(self, rows: Sequence[Row]) -> list[float]:
        """Return the scores it answers, once; ConnectionError when it does not answer 200."""
        answer = exchange(self.port, self.request(rows))
        if answer[0] != 200:
            raise ConnectionError(f"{self.name} answered {answer[0]}: {answer[1][:300]!r}")
        return self.scores(json.loads(answer[1]))

    @contextmanager
    def running(self, row: Row) -> Iterator[None]:
        """Let it run until it answers this row, and hold it still again afterwards."""
        processes.tell(self.family(), signal.SIGCONT)
        try:
            self.wait(row)
            yield
        finally:
            self.pause()

    def wait(self, row: Row, patience: float = 30) -> None:
        """Wait until it answers: one that was held still may have to look around first."""
        end = time.monotonic() + patience
        while True:
            try:
                self.ask([row])
            except OSError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.05)
            else:
                return

    def pause(self) -> None:
        """Hold every process of it still: it uses no CPU then."""
        processes.tell(self.family(), signal.SIGSTOP)


def exchange(port: int, request: bytes, patience: float = 60) -> tuple[int, bytes]:
    """Send one request on a connection of its own; return status and body."""
    with socket.create_connection(("127.0.0.1", port), timeout=patience) as connection:
        head, _, body = request.partition(b"\r\n\r\n")
        connection.sendall(head + b"\r\nConnection: close\r\n\r\n" + body)
        with connection.makefile("rb") as stream:
            data = stream.read()
    if not data:
        raise ConnectionResetError(f"port {port} closed the connection without an answer")
    head, _, body = data.partition(b"\r\n\r\n")
    if b"transfer-encoding: chunked" in head.lower():
        body = _unchunked(body)
    return int(head[9:12]), body


def _unchunked(data: bytes) -> bytes:
    parts = []
    while data:
        length, _, data = data.partition(b"\r\n")
        parts.append(data[: int(length, 16)])
        data = data[int(length, 16) + 2 :]
    return b"".join(parts)
