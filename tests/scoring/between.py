"""Something between a server and its database that can fail as a network or a database does."""

import selectors
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from django.db import connection


class Between:
    """Passes on what comes, in both directions, until it is told to hang, or to refuse."""

    def __init__(self, folder: Path) -> None:
        told = connection.settings_dict
        self._behind = f"{told['HOST']}/.s.PGSQL.{told['PORT'] or 5432}"
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(f"{folder}/.s.PGSQL.5432")
        self._listener.listen(64)
        self._pairs: dict[socket.socket, socket.socket] = {}
        self._told = selectors.DefaultSelector()
        self._told.register(self._listener, selectors.EVENT_READ)
        self._hangs = self._refuses = self._ended = False

    def hang(self) -> None:
        """Pass nothing on, and hang up on nobody."""
        self._hangs = True

    def refuse(self) -> None:
        """Hang up on everybody who is there or comes."""
        self._refuses = True

    def go_on(self) -> None:
        """Work again."""
        self._hangs = self._refuses = False

    def work(self) -> None:
        """Do all that until told to end."""
        while not self._ended:
            if self._refuses:
                for sock in list(self._pairs):
                    self._hang_up(sock)
            for key, _ in self._told.select(0.02):
                if not self._hangs:
                    self._pass(key.fileobj)

    def end(self) -> None:
        """End the work."""
        self._ended = True

    def _pass(self, sock: socket.socket) -> None:
        if sock is self._listener:
            self._meet(sock.accept()[0])
            return
        data = b""
        with suppress(OSError):
            data = sock.recv(65536) if sock in self._pairs else b""
            if data:
                self._pairs[sock].sendall(data)
        if not data:
            self._hang_up(sock)

    def _meet(self, client: socket.socket) -> None:
        if self._refuses:
            client.close()
            return
        server = socket.socket(socket.AF_UNIX)
        server.connect(self._behind)
        for one, other in ((client, server), (server, client)):
            self._pairs[one] = other
            self._told.register(one, selectors.EVENT_READ)

    def _hang_up(self, sock: socket.socket) -> None:
        other = self._pairs.pop(sock, None)
        if other:
            self._pairs.pop(other, None)
            for one in (sock, other):
                self._told.unregister(one)
                one.close()


@contextmanager
def between(folder: Path) -> Iterator[Between]:
    """Stand between, in a thread; the folder is where a server is told to find its database."""
    made = Between(folder)
    thread = threading.Thread(target=made.work, daemon=True)
    thread.start()
    try:
        yield made
    finally:
        made.end()
        thread.join(10)
