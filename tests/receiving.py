"""A server that receives what we send, and answers as it is told: a real one, in a thread."""

import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Receiver:
    """Where it listens, what came, and what it answers: one status after the other, the last one for ever."""

    url: str = ""
    got: list = field(default_factory=list)
    statuses: list = field(default_factory=lambda: [200])
    answer: bytes = b"thank you"
    headers: dict = field(default_factory=dict)
    trickle: float = 0  # seconds between the bytes of an answer

    def next_status(self) -> int:
        return self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]


@contextmanager
def receiver(context: ssl.SSLContext | None = None) -> Iterator[Receiver]:
    here = Receiver()

    class Answers(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            here.got.append((self.path, dict(self.headers), body))
            self.send_response(here.next_status())
            for name, value in here.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(here.answer)))
            self.end_headers()
            for byte in here.answer if here.trickle else ():
                time.sleep(here.trickle)
                self.wfile.write(bytes([byte]))
                self.wfile.flush()
            if not here.trickle:
                self.wfile.write(here.answer)

        do_GET = do_POST

        def log_message(self, *args):
            """Be quiet."""

        def handle(self):
            try:
                super().handle()
            except OSError:
                """The other side hung up."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    server.daemon_threads = True
    if context:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    here.url = f"{'https' if context else 'http'}://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=[0.05], daemon=True)
    thread.start()
    try:
        yield here
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)
