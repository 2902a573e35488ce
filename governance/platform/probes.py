"""Questions from outside: does a server answer, is a port free."""

import errno
import os
import socket
from collections.abc import Callable
from http.client import HTTPConnection, HTTPException
from pathlib import Path

from governance.platform.home import CannotStart

LOCAL = "127.0.0.1"


def healthy(port: int, path: str = "/health") -> Callable[[], bool]:
    """Return a probe: does the server on this port say that it is well?"""

    def probe() -> bool:
        connection = HTTPConnection(LOCAL, port, timeout=2)
        try:
            connection.request("GET", path)
            return connection.getresponse().status == 200
        except (OSError, HTTPException):
            return False
        finally:
            connection.close()

    return probe


def ponging(path: Path) -> Callable[[], bool]:
    """Return a probe: does the Valkey behind this socket answer, all its data read?"""

    def probe() -> bool:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
            client.settimeout(2)
            try:
                client.connect(str(path))
                client.sendall(b"PING\r\n")
                return client.recv(64).startswith(b"+PONG")
            except OSError:
                return False

    return probe


def free_port() -> int:
    """Return a port that nothing listens on, for what no person is to find."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as listener:
        listener.bind((LOCAL, 0))
        return int(listener.getsockname()[1])


def port(variable: str, default: int) -> int:
    """Return the port that the variable names; refuse one that is taken."""
    text = os.environ.get(variable, str(default))
    if not text.isdigit() or not 0 < int(text) < 65536:
        raise CannotStart(f"{variable}={text!r} is not a port. Write a number from 1 to 65535.")
    number = int(text)
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((LOCAL, number))
        except OSError as error:
            reason = "another program listens there" if error.errno == errno.EADDRINUSE else error.strerror
            raise CannotStart(
                f"Port {number} cannot be used: {reason}. Stop that program, "
                f"or choose another port: {variable}={number + 1000}."
            ) from error
    return number
