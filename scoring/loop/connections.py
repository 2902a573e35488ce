"""One client's connection: requests are read one after the other, answered in their order, and nobody waits for ever.

Bounds of time run from a request's first byte, so that no client stretches them by sending slowly.
"""

import math
import socket
import time
from dataclasses import dataclass
from typing import Any, Protocol

from gunicorn.http.errors import ParseException  # type: ignore[import-untyped]

from scoring.loop import requests
from scoring.loop.polling import IN, OUT, Poll
from scoring.loop.requests import Chunks, Head, Heads

_READ = 65536
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


@dataclass(frozen=True)
class Patience:
    """How long a client is waited for, in seconds."""

    head: float = 10.0  # from a request's first byte to the end of its head
    body: float = 20.0  # for its body
    reader: float = 20.0  # for the client to take an answer
    last: float = 2.0  # in which what a refused client still sends is thrown away, so that it gets to read why


class Server(Protocol):
    """What a connection asks of the worker it belongs to."""

    cfg: Any
    log: Any
    heads: Heads
    poll: Poll
    patience: Patience

    def has_room(self, connection: "Connection", size: int) -> bool:
        """Say whether a body of so many bytes is taken in; if not, say so by `end`."""

    def serve(self, connection: "Connection", head: Head, body: bytes) -> None:
        """Answer a request by `reply`, before this returns or later, then followed by `resume`."""

    def refuse(self, connection: "Connection", error: Exception) -> None:
        """Answer by `end` what cannot be read."""

    def late(self, connection: "Connection") -> None:
        """Answer by `end` a request that did not come whole in time."""

    def closed(self, connection: "Connection") -> None:
        """Take note that a connection is gone."""


class Connection:
    """A connection from `accept` until either side hangs up."""

    __slots__ = (
        *("_server", "_sock", "number", "peer", "address", "_inbox", "_searched", "_head", "_chunks", "_outbox"),
        *("_mask", "_silent", "_ending", "_refused", "_walking", "deadline", "is_busy", "is_closed"),
    )

    def __init__(self, server: Server, sock: socket.socket, peer: Any, address: Any) -> None:
        """Take a socket that does not block, with the address of its client and the one that it came to."""
        self._server, self._sock, self.peer, self.address = server, sock, peer, address
        self.number = sock.fileno()
        self._inbox: bytes | bytearray = b""
        self._searched = 0  # bytes at its front in which no head ends
        self._head: Head | None = None
        self._chunks: Chunks | None = None
        self._outbox = memoryview(b"")
        self._mask = IN
        self._silent = False  # the client sends nothing more, but may be reading
        self._ending = False  # after what is being sent, the connection ends
        self._refused = False  # what still comes in is thrown away
        self._walking = False  # through the inbox: an answer that is there at once takes no second walk
        self.is_busy = False  # a request is being answered
        self.is_closed = False
        self.deadline = time.monotonic() + self._server.patience.head
        server.poll.watch(self.number, IN, self.ready)

    @property
    def is_idle(self) -> bool:
        """Whether nothing of a request has come and no answer is due."""
        return not (self.is_busy or self._inbox or self._head or self._outbox or self._ending)

    @property
    def weight(self) -> int:
        """Return how many bytes of requests it holds, or will."""
        announced = self._head.length or 0 if self._head else 0
        return max(len(self._inbox), announced) + (len(self._chunks.body) if self._chunks else 0)

    def ready(self, mask: int) -> None:
        """Send what waits, take in what came. What breaks, breaks this connection alone."""
        try:
            if mask & OUT:
                self._flush()
            if mask & ~OUT and not self.is_closed:
                self._receive()
        except Exception:  # noqa: BLE001 - the others go on
            self._server.log.exception("Error on the connection of %s", self.peer)
            self.close()

    def reply(self, data: bytes, *, keep: bool) -> None:
        """Send an answer; with `keep` the next request may come."""
        if self.is_closed:
            return  # its decision is on record all the same
        self.is_busy = False
        self._ending = not keep
        self.deadline = time.monotonic() + self._server.patience.reader
        self._send(data)

    def resume(self) -> None:
        """Go on with what came in while a request was answered."""
        if self._inbox or self._silent:
            self._advance()

    def end(self, data: bytes) -> None:
        """Send a last answer to a client that may still be sending, and hang up once it could read it."""
        self._inbox, self._head, self._refused = b"", None, True
        self.reply(data, keep=False)

    def expire(self) -> None:
        """End what took too long."""
        if self.is_idle or self._ending or self._outbox:
            self.close()
        else:
            self._server.late(self)

    def close(self) -> None:
        """Hang up now."""
        if not self.is_closed:
            self.is_closed = True
            self._server.poll.forget(self.number)
            self._sock.close()
            self._server.closed(self)

    def _receive(self) -> None:
        try:
            data = self._sock.recv(_READ)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            self.close()
            return
        if data and not self._refused:
            self._take(data)
        elif not data and (self.is_busy or self._outbox) and not (self._refused or self._silent):
            self._silent = True
            self._listen()
        elif not data:
            self.close()

    def _take(self, data: bytes) -> None:
        if not self._inbox:
            self._inbox = data
        elif isinstance(self._inbox, bytearray):
            self._inbox += data
        else:
            self._inbox = bytearray(self._inbox + data)
        if self.is_busy or self._outbox:
            self._listen()
        else:
            self._advance()

    def _listen(self) -> None:
        """Watch for what is wanted: no further requests beyond some while one is answered, and no end twice."""
        full = (self.is_busy or self._outbox) and len(self._inbox) > requests.LONGEST_HEAD
        mask = (0 if full or self._silent else IN) | (OUT if self._outbox else 0)
        if mask != self._mask and not self.is_closed:
            self._mask = mask
            self._server.poll.change(self.number, mask)

    def _advance(self) -> None:
        """Answer, one after the other, what has come in whole."""
        if self._walking:
            return
        self._walking = True
        while self._inbox and not (self.is_busy or self._outbox or self._ending or self.is_closed):
            request = self._next()
            if request is None:
                break
            self.is_busy, self._head, self._chunks, self.deadline = True, None, None, math.inf
            self._server.serve(self, *request)
        self._walking = False
        if self._silent and not (self.is_busy or self._outbox):
            self.close()
        else:
            self._listen()

    def _next(self) -> tuple[Head, bytes] | None:
        """Return the next request off the inbox, None while it is not whole."""
        try:
            if self._head is None and not self._read_head():
                return None
            head = self._head
            body = None if head is None else self._read_body(head)
        except (ParseException, OSError) as error:
            self._server.refuse(self, error)
            return None
        return None if head is None or body is None else (head, body)

    def _read_head(self) -> bool:
        end = self._inbox.find(b"\r\n\r\n", max(0, self._searched - 3))
        if end < 0:
            if not self._searched:
                self.deadline = time.monotonic() + self._server.patience.head
            self._searched = len(self._inbox)
            requests.demand_bounds(self._inbox, self._server.cfg)
            return False
        raw, self._inbox, self._searched = bytes(self._inbox[: end + 4]), self._inbox[end + 4 :], 0
        head = self._server.heads.read(raw, self.peer, self.address)
        self._head = head
        if head.length is None:
            self._chunks = head.chunks()
        elif head.length > requests.LONGEST_HEAD and not self._server.has_room(self, head.length):
            return False
        if head.length != 0 and not self._inbox:
            self._await_body(head)
        return True

    def _await_body(self, head: Head) -> None:
        self.deadline = time.monotonic() + self._server.patience.body
        if head.continues:
            self._send(_CONTINUE)

    def _read_body(self, head: Head) -> bytes | None:
        if self._chunks is not None:
            return self._read_chunks(self._chunks)
        length = head.length or 0
        if len(self._inbox) < length:
            return None
        body, self._inbox = bytes(self._inbox[:length]), self._inbox[length:]
        return body

    def _read_chunks(self, chunks: Chunks) -> bytes | None:
        self._inbox = rest = bytearray(self._inbox)
        chunks.feed(rest)
        size = len(chunks.body)
        if size > requests.LONGEST_HEAD and not self._server.has_room(self, size):
            return None
        return bytes(chunks.body) if chunks.whole else None

    def _send(self, data: bytes) -> None:
        self._outbox = memoryview(data)
        self._flush()

    def _flush(self) -> None:
        try:
            self._outbox = self._outbox[self._sock.send(self._outbox) :]
        except (BlockingIOError, InterruptedError):
            pass
        except OSError:
            self.close()
            return
        if self._outbox:
            self._listen()
        elif self._ending:
            self._hang_up()
        elif self._mask & OUT:  # the last of an answer that its reader took slowly
            self._rest()
            self._advance()
        else:
            self._rest()

    def _rest(self) -> None:
        if not (self._head or self.is_busy):
            self.deadline = time.monotonic() + (self._server.cfg.keepalive or self._server.patience.head)

    def _hang_up(self) -> None:
        """End the connection; one that may still be sending is listened to for a while: else it might lose its answer.

        RFC 9112 section 9.6: closing with bytes unread resets the connection.
        """
        if not (self._refused or self._inbox) or self._silent:
            self.close()
            return
        self._refused, self.deadline = True, time.monotonic() + self._server.patience.last
        try:
            self._sock.shutdown(socket.SHUT_WR)
        except OSError:
            self.close()
        else:
            self._listen()
