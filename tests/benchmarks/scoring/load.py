"""Send requests over kept-alive connections and say how long each took. Runs alone, on the standard library.

`python load.py < JOB` prints the result as JSON. Closed: each connection asks again as soon as it was answered. Open:
requests leave at a fixed rate whether or not others were answered, and each is timed from when it was due, so that a
server that stalls is charged for all who had to wait (no coordinated omission).
"""

import json
import re
import select
import socket
import sys
import threading
import time
from collections import Counter, deque
from collections.abc import Iterator
from contextlib import suppress
from itertools import cycle

LENGTH = re.compile(rb"(?i)\r\ncontent-length: *(\d+)")
CHUNKED = re.compile(rb"(?i)\r\ntransfer-encoding: *chunked")
READ = 1 << 18


class Connection:
    """One kept-alive connection: at most one request is under way on it."""

    __slots__ = ("buffer", "due", "socket")

    def __init__(self, port: int) -> None:
        """Connect to a local server."""
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=60)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer, self.due = b"", 0.0

    def send(self, request: bytes, due: float) -> None:
        """Send a request that is timed from when it was due."""
        self.due = due
        self.socket.sendall(request)

    def receive(self) -> bytes | None:
        """Read what came; return the whole answer once it is there, raise ConnectionError when there will be none."""
        data = self.socket.recv(READ)
        if not data:
            raise ConnectionResetError
        data = self.buffer + data
        self.buffer = data
        if not whole(data):
            return None
        self.buffer = b""
        return data


def whole(data: bytes) -> bool:
    """Say whether these bytes are a whole HTTP/1.1 answer."""
    end = data.find(b"\r\n\r\n")
    if end < 0:
        return False
    if length := LENGTH.search(data, 0, end + 2):
        return len(data) >= end + 4 + int(length[1])
    return bool(CHUNKED.search(data, 0, end + 2)) and data.endswith(b"\r\n0\r\n\r\n")


class Run:
    """What came of the requests so far."""

    def __init__(self, job: dict) -> None:
        """Take a job: port, connections, seconds, warm (seconds not counted), requests, rate (open only)."""
        self.job, self.port = job, job["port"]
        self.requests: Iterator[bytes] = cycle([text.encode() for text in job["requests"]])
        self.poll, self.by_fd = select.epoll(), {}
        self.seconds: list[float] = []
        self.statuses: Counter = Counter()
        self.counted_from = time.perf_counter() + job["warm"]
        self.until = self.counted_from + job["seconds"]

    def connect(self) -> Connection:
        """Open a connection whose answers are waited for."""
        made = Connection(self.port)
        self.by_fd[made.socket.fileno()] = made
        self.poll.register(made.socket, select.EPOLLIN)
        return made

    def drop(self, connection: Connection) -> None:
        """Forget a connection that the server closed; its request failed."""
        self.statuses["closed"] += 1
        with suppress(OSError):
            self.poll.unregister(connection.socket)
        self.by_fd.pop(connection.socket.fileno(), None)
        connection.socket.close()

    def note(self, answer: bytes, due: float) -> None:
        """Count an answer unless this is still the warm-up; time it if it is not a refusal, which comes early."""
        now = time.perf_counter()
        if due < self.counted_from:
            return
        status = answer[9:12]
        self.statuses[status.decode()] += 1
        if status == b"200":
            self.seconds.append(now - due)

    def answers(self) -> Iterator[tuple[Connection, bytes | None]]:
        """Wait for answers and yield them; None in place of one that will not come."""
        for number, _ in self.poll.poll(0.1):
            connection = self.by_fd[number]
            try:
                if answer := connection.receive():
                    yield connection, answer
            except ConnectionError:
                self.drop(connection)
                yield connection, None

    def closed(self) -> None:
        """Each connection asks again as soon as it was answered."""
        for _ in range(self.job["connections"]):
            self.connect().send(next(self.requests), time.perf_counter())
        while time.perf_counter() < self.until:
            for connection, answer in self.answers():
                if answer is None:
                    asks = self.connect()
                else:
                    self.note(answer, connection.due)
                    asks = connection
                asks.send(next(self.requests), time.perf_counter())

    def open(self) -> None:
        """Requests leave on time by a thread of their own, on a connection that is free; this one takes the answers."""
        free: deque[Connection] = deque(self.connect() for _ in range(self.job["connections"]))
        late = threading.Event()
        sender = threading.Thread(target=self._send_on_time, args=(free, late))
        sender.start()
        while sender.is_alive() or (len(free) < len(self.by_fd) and time.perf_counter() < self.until + 5):
            for connection, answer in self.answers():
                if answer is None:
                    free.append(self.connect())
                else:
                    self.note(answer, connection.due)
                    free.append(connection)
        self.statuses["unanswered"] = len(self.by_fd) - len(free)

    def _send_on_time(self, free: deque[Connection], late: threading.Event) -> None:
        due, step = time.perf_counter(), 1 / self.job["rate"]
        while due < self.until:
            if (wait := due - time.perf_counter()) > 0:
                time.sleep(wait)
            while not free:  # all wait for answers: the request leaves late, and is timed from when it was due
                time.sleep(0.0002)
            free.popleft().send(next(self.requests), due)
            due += step

    def result(self, cpu: float) -> dict:
        """Return counts, requests a second, and percentiles in ms."""
        found = sorted(self.seconds)
        return {
            "requests": len(found),
            "statuses": dict(self.statuses),
            "per_second": round(len(found) / self.job["seconds"], 1),
            "ms": {str(q): round(found[min(len(found) - 1, int(len(found) * q / 100))] * 1000, 3) for q in QUANTILES}
            if found
            else {},
            "client_cpu_share": round(cpu / (self.job["seconds"] + self.job["warm"]), 3),
        }


QUANTILES = (50, 90, 99, 99.9, 100)


def perform(job: dict) -> dict:
    """Carry a job out in this process."""
    run, before = Run(job), time.process_time()
    run.open() if job.get("rate") else run.closed()
    return run.result(time.process_time() - before)


if __name__ == "__main__":
    print(json.dumps(perform(json.load(sys.stdin))))
