"""From bytes to a request. Heads are read by gunicorn's own parser, so what it refuses is refused here too.

A client sends the same head again and again, its length apart: what a head means is remembered by its bytes, which
costs less than any parser.
"""

from dataclasses import dataclass
from typing import Any

from gunicorn.http import wsgi  # type: ignore[import-untyped]
from gunicorn.http.body import ChunkedReader, LengthReader  # type: ignore[import-untyped]
from gunicorn.http.errors import (  # type: ignore[import-untyped]
    ChunkMissingTerminator,
    InvalidChunkSize,
    LimitRequestHeaders,
    LimitRequestLine,
)
from gunicorn.http.message import Request  # type: ignore[import-untyped]
from gunicorn.http.unreader import IterUnreader  # type: ignore[import-untyped]

LONGEST_HEAD = 65536  # bytes of a request's first line and headers together
_REMEMBERED = 512  # heads
_SHORT = 4096  # bytes of a head that is remembered
_LONGEST_LINE = 1024  # bytes of a chunk's size with its extensions
_OF_ONE = ("/score", "/infer", "/invocations")  # how the addresses end that score one row
_HEX = frozenset(b"0123456789abcdefABCDEF")


@dataclass(frozen=True, slots=True)
class Head:
    """What a request's first line and headers say.

    `length`: of its body in bytes, None when it comes in chunks; `continues`: the client waits to be told so before it
    sends the body; `keeps`: the connection may stay; `scores_one`: it asks for the score of one row.
    """

    request: Request
    environ: dict[str, Any]
    length: int | None
    continues: bool
    keeps: bool
    scores_one: bool

    def chunks(self) -> "Chunks":
        """Return what reads its body."""
        return Chunks(self.request)


class Heads:
    """Reads the heads of one worker's requests."""

    def __init__(self, cfg: Any) -> None:
        self._cfg = cfg
        self._known: dict[tuple[Any, Any, bytes], Head] = {}

    def read(self, raw: bytes, peer: Any, server: Any) -> Head:
        """Return what the head says, as gunicorn reads it; errors are gunicorn's.

        `peer` is the client's address and `server` the one it came to, as `accept` and `getsockname` tell them.
        """
        key = (peer[0] if isinstance(peer, tuple) else peer, server, raw)
        head = self._known.get(key)
        if head is None:
            head = self._parse(raw, peer, server)
            if len(raw) <= _SHORT:
                if len(self._known) >= _REMEMBERED:
                    self._known.clear()
                self._known[key] = head
        return head

    def _parse(self, raw: bytes, peer: Any, server: Any) -> Head:
        request = Request(self._cfg, IterUnreader([raw]), peer)
        continues, request._expected_100_continue = request._expected_100_continue, False  # the loop says it
        _, environ = wsgi.create(request, None, peer, server, self._cfg)
        for name in ("wsgi.input", "gunicorn.socket", "wsgi.early_hints", "wsgi.file_wrapper"):
            environ.pop(name, None)
        reader = request.body.reader
        length = None if isinstance(reader, ChunkedReader) else reader.length if isinstance(reader, LengthReader) else 0
        if length is None:  # the application gets the body whole, and its length
            environ.pop("HTTP_TRANSFER_ENCODING")
        request.body = None
        one = request.method == "POST" and request.path.endswith(_OF_ONE)
        return Head(request, environ, length, continues, not request.should_close(), one)


def demand_bounds(begun: bytes | bytearray, cfg: Any) -> None:
    """Raise gunicorn's errors when a head that has not ended yet is too long already."""
    if b"\r\n" not in begun and len(begun) - 2 > cfg.limit_request_line > 0:
        raise LimitRequestLine(len(begun), cfg.limit_request_line)
    if len(begun) > LONGEST_HEAD:
        raise LimitRequestHeaders("max buffer headers")


class Chunks:
    """A body in chunks (RFC 9112 section 7.1), as it comes in; at least as strict as gunicorn's reader, which waits."""

    def __init__(self, request: Request) -> None:
        self._request = request
        self._wants = self._size
        self._left = 0
        self.body = bytearray()
        self.whole = False

    def feed(self, data: bytearray) -> None:
        """Take what can be used off the front of `data`. Errors are gunicorn's; none of them leaves a way on."""
        while not self.whole and self._wants(data):
            pass

    def _size(self, data: bytearray) -> bool:
        end = data.find(b"\r\n")
        if end < 0 and len(data) <= _LONGEST_LINE:
            return False
        line = bytes(data[:end])
        size, extended, more = line.partition(b";")
        size = size.rstrip(b" \t") if extended else size
        bounded = 0 <= end <= _LONGEST_LINE and 0 < len(size) <= 16
        if not (bounded and _HEX.issuperset(size)) or b"\r" in more or b"\n" in more:
            raise InvalidChunkSize(line[:40])
        del data[: end + 2]
        self._left = int(size, 16)
        self._wants = self._data if self._left else self._trailers
        return True

    def _data(self, data: bytearray) -> bool:
        part = data[: self._left]
        self.body += part
        del data[: len(part)]
        self._left -= len(part)
        if self._left == 0:
            self._wants = self._end_of_chunk
        return bool(part)

    def _end_of_chunk(self, data: bytearray) -> bool:
        if not b"\r\n".startswith(data[:2]):
            raise ChunkMissingTerminator(bytes(data[:2]))
        if len(data) < 2:
            return False
        del data[:2]
        self._wants = self._size
        return True

    def _trailers(self, data: bytearray) -> bool:
        if data[:2] == b"\r\n":
            del data[:2]
            self.whole = True
            return True
        end = data.find(b"\r\n\r\n")
        if end >= 0:
            self._request.parse_headers(bytes(data[:end]), from_trailer=True)  # refuses what must not be there
            del data[: end + 4]
            self.whole = True
        elif len(data) > LONGEST_HEAD:
            raise LimitRequestHeaders("max buffer headers")
        return self.whole
