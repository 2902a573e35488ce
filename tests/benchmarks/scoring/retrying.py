"""Clients as a decision engine has them: each request has a request_id, and is sent again until it is answered."""

import http.client
import json
import threading
import time
import uuid
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import count

from tests.benchmarks.scoring.targets import Row, Target

PATIENCE = 10.0  # seconds in which a request must have been answered, by whichever attempt
WAIT = 5.0  # seconds until an attempt is given up
FIRST_PAUSE, LONGEST_PAUSE = 0.02, 0.5  # seconds between attempts, doubled each time
_GONE = (OSError, http.client.HTTPException)


@dataclass
class Clients:
    """So many at once; what each was answered, by request_id, which is the entity too."""

    target: Target
    rows: Sequence[Row]
    number: int = 8
    answered: dict[str, bytes] = field(default_factory=dict)
    unanswered: list[str] = field(default_factory=list)
    answers: list[tuple[float, float, bytes]] = field(default_factory=list)  # first sent and answered (monotonic), what
    attempts: Counter = field(default_factory=Counter)  # how they ended: a status, or the name of the error
    ended: threading.Event = field(default_factory=threading.Event)
    threads: list[threading.Thread] = field(default_factory=list)

    def start(self) -> None:
        """Let them ask until `stop`."""
        self.threads = [threading.Thread(target=self._work, args=(place,)) for place in range(self.number)]
        for thread in self.threads:
            thread.start()

    def stop(self) -> None:
        """Let each finish the request it is at."""
        self.ended.set()
        for thread in self.threads:
            thread.join()

    def again(self, request_id: str) -> bytes | None:
        """Ask once more under a request_id until it is answered; None when it is not in time."""
        connection, answer = self._until_answered(self._connect(), request_id)
        connection.close()
        return answer

    def row_of(self, request_id: str) -> Row:
        """Return the row that is asked about under a request_id: any client says the same under the same one."""
        return self.rows[uuid.UUID(request_id).int % len(self.rows)]

    def _connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.target.port, timeout=WAIT)

    def _work(self, place: int) -> None:
        connection = self._connect()
        for _ in count():
            if self.ended.is_set():
                connection.close()
                return
            connection = self._answered(connection, str(uuid.uuid4()))

    def _answered(self, connection: http.client.HTTPConnection, request_id: str) -> http.client.HTTPConnection:
        begun = time.monotonic()
        connection, answer = self._until_answered(connection, request_id)
        if answer is None:
            self.unanswered.append(request_id)
        else:
            self.answers.append((begun, time.monotonic(), answer))
            self.answered[request_id] = answer
        return connection

    def _until_answered(
        self, connection: http.client.HTTPConnection, request_id: str
    ) -> tuple[http.client.HTTPConnection, bytes | None]:
        end, pause = time.monotonic() + PATIENCE, FIRST_PAUSE
        while time.monotonic() < end:
            try:
                status, data = self._attempt(connection, request_id, self.row_of(request_id))
            except _GONE as error:
                status, data = type(error).__name__, b""
                connection.close()
                connection = self._connect()
            self.attempts[str(status)] += 1
            if status == 200:
                return connection, data
            time.sleep(pause)
            pause = min(LONGEST_PAUSE, pause * 2)
        return connection, None

    def _attempt(self, connection: http.client.HTTPConnection, request_id: str, row: Row) -> tuple[int, bytes]:
        sent = json.dumps(self.target.body([row]) | {"request_id": request_id, "entity": request_id})
        headers = {"Content-Type": "application/json", **self.target.headers}
        connection.request("POST", self.target.path([row]), sent, headers)
        answer = connection.getresponse()
        return answer.status, answer.read()
