"""How gunicorn listens: what is not HTTP, or breaks before the application is reached, is answered with a problem."""

import time
from typing import Any

from gunicorn.http.body import Body  # type: ignore[import-untyped]
from gunicorn.workers.gthread import ThreadWorker  # type: ignore[import-untyped]

from registry.api.rewriting import Rewritten
from scoring import shedding

_AT_ONCE = 256 * 1024  # bytes taken from a connection at a time, where gunicorn takes 8 KiB


class Worker(ThreadWorker):  # type: ignore[misc]
    """gunicorn's worker with threads, which would answer programs with a page."""

    def handle_request(self, req: Any, conn: Any) -> Any:
        """Answer a request whose head has been read; its body, which may be a large file, is read in large pieces."""
        conn.parser.unreader.mxchunk = _AT_ONCE
        req.body = _Body(req.body.reader)
        return super().handle_request(req, conn)

    def enqueue_req(self, conn: Any) -> None:
        """Put a request in line for a thread."""
        conn.came = time.monotonic()
        super().enqueue_req(conn)

    def handle(self, conn: Any) -> Any:
        """Take up a request; the scoring process may refuse one that stood in line for too long."""
        shedding.stood(self.tpool._work_queue.qsize(), time.monotonic() - conn.came)
        return super().handle(conn)

    def handle_error(self, req: Any, client: Any, addr: Any, exc: Exception) -> None:
        """Answer as gunicorn does, in our form."""
        super().handle_error(req, Rewritten(client), addr, exc)


class _Body(Body):  # type: ignore[misc]
    """A request's body, of which as much is read as is asked for; gunicorn reads 1 KiB at a time and joins them."""

    def read(self, size: int | None = None) -> bytes:
        """Return the next bytes, fewer than asked for only at the end."""
        if self.buf.tell() or not size or size < 0:
            return bytes(super().read(size))
        return bytes(self.reader.read(size))
