"""How a small server of ours listens: gunicorn, one process with threads, and no client holds one of them for long."""

import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from gunicorn.app.base import BaseApplication  # type: ignore[import-untyped]
from gunicorn.workers.gthread import ThreadWorker  # type: ignore[import-untyped]

PATIENCE = 20.0  # seconds from a request's first byte to the end of its answer


class Worker(ThreadWorker):  # type: ignore[misc]
    """gunicorn's worker with threads, which alone would wait forever for a body that trickles in."""

    def handle(self, conn: Any) -> Any:
        """Handle a request, and hang up on the client when it takes too long."""
        limit = threading.Timer(PATIENCE, _hang_up, [conn.sock])
        limit.daemon = True
        limit.start()
        try:
            return super().handle(conn)
        finally:
            limit.cancel()


def _hang_up(connection: socket.socket) -> None:
    with suppress(OSError):  # the client was faster
        connection.shutdown(socket.SHUT_RDWR)


class Server(BaseApplication):  # type: ignore[misc]
    """One WSGI application at one address, `HOST:PORT`."""

    def __init__(self, application: Callable[..., Any], address: str) -> None:
        self.application, self.address = application, address
        super().__init__()

    def load_config(self) -> None:
        """Set gunicorn up without command line or file."""
        options = {
            "bind": self.address,
            "workers": 1,
            "threads": 32,
            "worker_class": "registry.listening.Worker",
            "graceful_timeout": 5,
            "keepalive": 30,
            "control_socket_disable": True,
            "loglevel": "warning",
        }
        for name, value in options.items():
            self.cfg.set(name, value)

    def load(self) -> Callable[..., Any]:
        """Return the application."""
        return self.application
