"""gunicorn's worker for scoring (`-k scoring.loop.worker.Worker`): one thread that waits for nothing but events.

What scores one row is answered in the loop, where its answer waits for the commit of its group without holding up the
others; everything else is answered by a few threads.
"""

import gc
import os
import socket
import sys
import time
from contextlib import suppress
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any

from django.conf import settings
from gunicorn.http.errors import ChunkMissingTerminator, InvalidChunkSize, InvalidHeader  # type: ignore[import-untyped]
from gunicorn.workers.base import Worker as Base  # type: ignore[import-untyped]

from registry.api.rewriting import Rewritten, plain
from scoring import shedding
from scoring.loop.asides import Asides
from scoring.loop.connections import Connection, Patience
from scoring.loop.exchanges import Exchange
from scoring.loop.polling import IN, Poll
from scoring.loop.requests import Head, Heads

if TYPE_CHECKING:  # it needs models, which are there once the application is loaded
    from scoring.loop.inline import Inline

LARGEST_INLINE = 64 * 1024  # bytes of a body that is answered in the loop
MOST = 64 * 1024 * 1024  # bytes of large bodies that come in at once
THREADS = 4  # for everything else, unless gunicorn is told another number
QUEUE = 64  # requests that wait for one of them
START = 10.0  # seconds in which a new process takes no connections until it is ready; then it says that it is not
LINGER = 1.0  # seconds for which kept-alive connections are served after TERM, so that no request crosses its end
_TURN = 0.5  # seconds after which the loop looks after what has no event
# Seconds for which a thread beside the loop keeps the interpreter when the loop wants it: with Python's 5 ms, each of
# the loop's calls to the kernel could cost an answer those, in each round of the watcher.
_SWITCH = 0.0002
_BUSY = "As many requests of this kind as may are being answered. Send the same again in a moment."


class Worker(Base):  # type: ignore[misc]
    """One process of the scoring server."""

    patience = Patience()
    alive: bool

    def load_wsgi(self) -> None:
        """Load the application, then what needs its models."""
        super().load_wsgi()
        self.poll, self.heads = Poll(), Heads(self.cfg)
        self._inline: Inline = import_module("scoring.loop.inline").Inline(self.poll)
        threads = self.cfg.threads if self.cfg.threads > 1 else THREADS
        gc.collect()
        gc.freeze()  # what was loaded stays: to look through it again and again would hold up answers
        sys.setswitchinterval(_SWITCH)
        self._asides = Asides(threads, QUEUE, self.PIPE[1])
        self._connections: set[Connection] = set()
        self._accepts = False
        self._beaten = self._looked = 0.0

    def run(self) -> None:
        """Serve until told to stop; then answer what is under way, and end."""
        self.poll.watch(self.PIPE[0], IN, self._woken)
        with self._inline.opened():
            self._begin()
            while self.alive and self.ppid == os.getppid():
                self._accept_while_room()
                self._turn()
            self._finish()
        self._asides.close()

    def _begin(self) -> None:
        """Take nobody in until this process is ready: whoever connects meanwhile waits, or meets another process."""
        began = time.monotonic()
        while self.alive and not self._inline.is_ready and time.monotonic() < began + START:
            self._turn(0.02)

    def _turn(self, patience: float = _TURN) -> None:
        self.poll.turn(patience)
        self._inline.groups.pump()
        now = time.monotonic()
        if now - self._beaten >= 1.0:
            self._beaten = now
            self.notify()
        self._inline.session.tend()
        if now - self._looked >= _TURN:
            self._looked = now
            for connection in [one for one in self._connections if one.deadline < now]:
                connection.expire()

    def _finish(self) -> None:
        """Answer what is under way; connections end with their answer, idle ones after a moment."""
        self._stop_accepting()
        began = time.monotonic()
        while self._connections and time.monotonic() < began + self.cfg.graceful_timeout:
            self._turn()
            if time.monotonic() > began + LINGER:
                for connection in [one for one in self._connections if one.is_idle]:
                    connection.close()

    def _woken(self, _: int) -> None:
        with suppress(BlockingIOError):
            os.read(self.PIPE[0], 4096)
        self._asides.collect()

    def _accept_while_room(self) -> None:
        room = len(self._connections) < self.cfg.worker_connections
        if room and not self._accepts:
            for listener in self.sockets:
                listener.setblocking(False)
                self.poll.watch(listener.fileno(), IN, partial(self._accept, listener))
            self._accepts = True
        elif not room and self._accepts:
            self._stop_accepting()

    def _stop_accepting(self) -> None:
        for listener in self.sockets:
            self.poll.forget(listener.fileno())
        self._accepts = False

    def _accept(self, listener: Any, _: int) -> None:
        try:
            sock, peer = listener.accept()
        except OSError:  # another worker was faster, or the client is gone
            return
        sock.setblocking(False)
        if sock.family != socket.AF_UNIX:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._connections.add(Connection(self, sock, peer, listener.getsockname()))

    def closed(self, connection: Connection) -> None:
        """Forget a connection."""
        self._connections.discard(connection)

    def serve(self, connection: Connection, head: Head, body: bytes) -> None:
        """Answer a request: in the loop if it scores one row, else in a thread."""
        self.nr += 1
        if self.nr >= self.max_requests and self.alive:
            self.log.info("Autorestarting worker after current request.")
            self.alive = False
        exchange = Exchange(self.wsgi, self.log, connection, head, body, keep=self.alive and self.cfg.keepalive > 0)
        if head.scores_one and len(body) <= LARGEST_INLINE:
            shedding.stood(self._inline.groups.waiting, self.poll.waited)
            self._inline.answer(exchange.ask, exchange.tell, lambda: self._aside(connection, exchange))
        else:
            self._aside(connection, exchange)

    def _aside(self, connection: Connection, exchange: Exchange) -> None:
        began = time.monotonic()

        def work() -> bytes:
            shedding.stood(self._asides.waiting, time.monotonic() - began)
            return exchange.ask()

        if self._asides.is_full:
            self._send_away(connection)
        else:
            self._asides.give(work, exchange.tell)

    def refuse(self, connection: Connection, error: Exception) -> None:
        """Answer what is no HTTP as gunicorn does, in our form."""
        if isinstance(error, InvalidChunkSize | ChunkMissingTerminator):
            error = InvalidHeader(str(error))  # which gunicorn, reading in the application, has no answer for
        self.handle_error(None, Rewritten(_Last(connection)), connection.peer, error)

    def has_room(self, connection: Connection, size: int) -> bool:
        """Say whether a large body is taken in; else answer 413, or 503 while others fill the memory."""
        largest = settings.BATCH_BODY_LIMIT  # no view takes more
        if size > largest:
            what = f"A body has at most {largest} bytes here. Send less at once."
            connection.end(plain(413, "Content Too Large", what))
        elif size + sum(one.weight for one in self._connections if one is not connection) > MOST:
            self._send_away(connection)
        else:
            return True
        return False

    def late(self, connection: Connection) -> None:
        """Answer 408."""
        connection.end(plain(408, "Request Timeout", "The request did not come whole in time. Send it again."))

    def _send_away(self, connection: Connection) -> None:
        connection.end(plain(503, "Service Unavailable", _BUSY, more="Retry-After: 1\r\n"))


class _Last:
    """A connection of which gunicorn sends an error's page as its last answer."""

    def __init__(self, connection: Connection) -> None:
        self.sendall = connection.end

    def gettimeout(self) -> float:
        """Say that nothing is waited for."""
        return 0.0
