"""One request and its answer: asked of the application here or elsewhere, then sent to whoever still waits."""

import time
from datetime import timedelta
from typing import Any

from scoring.loop import replies
from scoring.loop.connections import Connection
from scoring.loop.replies import Application, Reply
from scoring.loop.requests import Head


class Exchange:
    """A request on a connection. With `keep` the connection may stay afterwards."""

    __slots__ = ("_application", "_log", "_connection", "_head", "_body", "_keep", "_began", "_logged")

    def __init__(
        self, application: Application, log: Any, connection: Connection, head: Head, body: bytes, *, keep: bool
    ) -> None:
        self._application, self._log = application, log
        self._connection, self._head, self._body = connection, head, body
        self._keep = keep and head.keeps
        self._began = time.monotonic()
        self._logged: tuple[Reply, dict[str, Any]] | None = None

    def ask(self) -> bytes:
        """Ask the application and return the bytes of its answer. Whatever breaks in it is answered with 500."""
        try:
            reply, environ = replies.ask(self._application, self._head, self._connection.peer, self._body)
            data = replies.encoded(reply, self._head, keep=self._keep)
        except Exception:  # noqa: BLE001 - the connection goes on, whatever the application did
            self._log.exception("Error handling request %s", self._head.request.uri)
            self._keep, self._logged = False, None
            return replies.FAULT
        if self._log.access_log_enabled:
            self._logged = reply, environ
        return data

    def tell(self, data: bytes) -> None:
        """Send the answer, and go on with the connection's next request. What breaks, breaks this connection alone."""
        try:
            if self._logged:
                reply, environ = self._logged
                taken = timedelta(seconds=time.monotonic() - self._began)
                self._log.access(reply, self._head.request, environ, taken)
            self._connection.reply(data, keep=self._keep)
            self._connection.resume()
        except Exception:  # noqa: BLE001 - others wait for their answers behind this one
            self._log.exception("Error answering %s", self._head.request.uri)
            self._connection.close()
