"""A connection that fails: forwards TCP to a server until so many bytes were sent, then cuts or hangs."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from urllib.parse import urlsplit

_PIECE = 16 * 1024


class Line:
    """The way to a server at `url`; `left`: bytes that may still be sent (None: no end); `hangs`: but not cut."""

    def __init__(self, target: str) -> None:
        self._target = urlsplit(target)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.left: int | None = None
        self.hangs = False
        self.reached = threading.Event()
        self._open: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection((self._target.hostname, self._target.port))
                self._open += [client, server]
                threading.Thread(target=self._there, args=(client, server), daemon=True).start()
                threading.Thread(target=self._back, args=(server, client), daemon=True).start()

    def _there(self, client: socket.socket, server: socket.socket) -> None:
        with suppress(OSError):
            while piece := client.recv(_PIECE):
                if self.left is not None:
                    self.left -= len(piece)
                    if self.left < 0:
                        self.reached.set()
                        break
                server.sendall(piece)
            if self.left is None or self.left >= 0 or not self.hangs:
                _close(client, server)

    @staticmethod
    def _back(server: socket.socket, client: socket.socket) -> None:
        with suppress(OSError):
            while piece := server.recv(_PIECE):
                client.sendall(piece)
            _close(client, server)

    def close(self) -> None:
        """Let nobody through any more."""
        _close(self._listener, *self._open)


def _close(*sockets: socket.socket) -> None:
    for each in sockets:
        with suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)
        each.close()


@contextmanager
def line(target: str) -> Iterator[Line]:
    """Yield a line to a server."""
    made = Line(target)
    try:
        yield made
    finally:
        made.close()
