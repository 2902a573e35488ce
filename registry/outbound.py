"""Where this machine may be sent on somebody else's word: targets of webhooks, hosts of artifacts.

Whoever names an address could name one that only we can reach: this machine, its network, a cloud's metadata. So
`demand` refuses such an address when it is taken down, and `client` refuses it again whenever it connects: the name is
resolved once, every address it has must be a public one, and the connection goes to an address that was looked at
(nothing is resolved a second time, so a name cannot change its mind in between). TLS is verified against the name, no
redirect is followed, no proxy of the environment is asked. What an operator lists as allowed is let through: names,
addresses, or networks such as 10.0.0.0/8.
"""

import re
import socket
import ssl
import threading
from collections.abc import Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any

import httpx

from registry.refusals import Invalid, Unavailable

Address = IPv4Address | IPv6Address

_PATIENCE = 5.0  # seconds for a name to be resolved
_LONGEST = 2000
_NAME = re.compile(r"[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*")
_NUMBER = re.compile(r"0x[0-9a-f]*|[0-9]+")  # a last label that some resolvers read as part of an address
_NAT64 = IPv6Network("64:ff9b::/96")  # RFC 6052
_resolvers = ThreadPoolExecutor(8, thread_name_prefix="resolver")


def demand(text: str, *, allowed: Collection[str] = (), plain: Collection[str] | None = None) -> httpx.URL:
    """Return the URL if we may be sent there; Invalid says why not.

    `plain`: which hosts, of the same form as `allowed`, may be spoken to without TLS; None: every one. A name that does
    not resolve is let through: it may resolve later, and is judged then.
    """
    url = _read(text)
    if url.scheme == "http" and plain is not None and not _listed(url.host, plain):
        raise Invalid(f"What is sent to {url.host} would go unencrypted. Begin the address with https://.")
    with suppress(Unavailable):
        _address(url.host, allowed)
    return url


def client(*, allowed: Collection[str] = (), timeout: float = 10.0) -> httpx.Client:
    """Return a client that connects to public addresses alone (and what is allowed); otherwise it raises Invalid.

    `timeout`: seconds for each step of a request; `deadline` bounds all of them together.
    """
    return httpx.Client(transport=_Pinned(allowed), timeout=timeout, trust_env=False, follow_redirects=False)


@contextmanager
def deadline(request: httpx.Request, seconds: float) -> Iterator[None]:
    """Hang up on a request after so many seconds, however slowly its answer trickles in."""
    streams: list[Any] = []

    def trace(event: str, info: dict[str, Any]) -> None:
        if event in ("connection.connect_tcp.complete", "connection.start_tls.complete"):
            streams.append(info["return_value"])

    def hang_up() -> None:
        for stream in reversed(streams):  # after TLS began, the first one is an empty shell
            with suppress(OSError):
                stream.get_extra_info("socket").shutdown(socket.SHUT_RDWR)

    request.extensions["trace"] = trace
    timer = threading.Timer(seconds, hang_up)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


class _Pinned(httpx.HTTPTransport):
    """Connects to the address that was judged; the name stays in the Host header and in TLS."""

    def __init__(self, allowed: Collection[str]) -> None:
        # No connection is used twice: one address may stand for several names.
        super().__init__(verify=_authorities(), limits=httpx.Limits(max_keepalive_connections=0))
        self._allowed = allowed

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request to an address that was looked at."""
        url = _read(str(request.url))
        address = _address(url.host, self._allowed)
        sent = httpx.Request(
            request.method,
            url.copy_with(host=str(address)),
            headers=request.headers,
            stream=request.stream,
            extensions={**request.extensions, "sni_hostname": url.host},
        )
        return super().handle_request(sent)


@cache
def _authorities() -> ssl.SSLContext:
    """Read the certificate authorities (or those of SSL_CERT_FILE) once: that takes longer than many a request."""
    return httpx.create_ssl_context()


def _read(text: str) -> httpx.URL:
    """Return the URL in the one reading that is also connected to; Invalid when another reading is possible."""
    if not text.isascii() or not text.isprintable() or set(text) & set(" \\") or len(text) > _LONGEST:
        raise Invalid(
            f"{text[:100]!r} is not an address that is accepted: at most {_LONGEST} plain ASCII characters, no space "
            "and no backslash. Write an international name in its xn-- form."
        )
    try:
        url = httpx.URL(text)
        host, port = url.host, url.port
    except httpx.InvalidURL as error:
        raise Invalid(f"{text[:100]!r} is not an address: {error}.") from error
    if url.scheme not in ("https", "http"):
        raise Invalid(f"An address begins with https:// or http://, not {url.scheme!r}.")
    if url.userinfo:
        raise Invalid("The address holds a username or password, which would be shown. Take it out of the address.")
    if port is not None and not 0 < port < 1 << 16:
        raise Invalid(f"{port} is no port: those are 1 to 65535.")
    _demand_name(host)
    return url


def _demand_name(host: str) -> None:
    """Raise Invalid for a host that is neither a name nor an address in its usual form."""
    with suppress(ValueError):
        ip_address(host)
        if "%" not in host:
            return
    if not _NAME.fullmatch(host) or _NUMBER.fullmatch(host.rpartition(".")[2]):
        raise Invalid(
            f"{host[:100]!r} is no host: write a name, an IPv4 address of four decimal numbers without leading "
            "zeros, or an IPv6 address in brackets."
        )


def _address(host: str, allowed: Collection[str]) -> Address:
    """Return an address of a host, after all of them were judged."""
    found = _resolved(host)
    if not _listed(host, allowed):
        for address in found:
            reason = _reason_against(address)
            if reason and not _listed(str(address), allowed):
                raise Invalid(
                    f"{host} is at {address}, which is {reason}: we are sent to public addresses only. Name another "
                    "host, or let the operator's settings allow this one (WEBHOOK_ALLOWED_HOSTS for webhooks)."
                )
    return found[0]


def _listed(host: str, listed: Collection[str]) -> bool:
    """Say whether a name or address is on a list of names, addresses and networks."""
    if host in {item.lower() for item in listed}:
        return True
    with suppress(ValueError):
        address = ip_address(host)
        return any(address in network for network in _networks(frozenset(listed)))
    return False


@cache
def _networks(listed: frozenset[str]) -> list[IPv4Network | IPv6Network]:
    found = []
    for item in listed:
        with suppress(ValueError):
            found.append(ip_network(item))
    return found


def _resolved(host: str) -> list[Address]:
    with suppress(ValueError):
        return [ip_address(host)]
    try:
        found = _resolvers.submit(socket.getaddrinfo, host, None, type=socket.SOCK_STREAM).result(_PATIENCE)
    except (OSError, UnicodeError, TimeoutError) as error:
        raise Unavailable(f"The name {host} does not resolve ({type(error).__name__}). Check it; try later.") from error
    return [ip_address(str(item[4][0])) for item in found]


def _reason_against(address: Address) -> str:
    """Return in one word why an address is not public, nothing if it is; an IPv4 address inside one counts itself."""
    inner = _embedded(address) if isinstance(address, IPv6Address) else None
    if inner:
        return _reason_against(inner)
    kinds = ("unspecified", "loopback", "link_local", "multicast", "private", "reserved")
    named = next((kind for kind in kinds if getattr(address, f"is_{kind}")), "")
    return named.replace("_", "-") or ("" if address.is_global else "not public")


def _embedded(address: IPv6Address) -> IPv4Address | None:
    """Return the IPv4 address that an IPv6 address leads to: mapped, 6to4, Teredo or NAT64."""
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else None)
