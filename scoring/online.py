"""Read features of an entity from an online store (Redis or Valkey): one round trip, and a policy for what is missing.

The store may be slow or gone: a read takes milliseconds at the most, and after a few that failed none is tried for a
while. What was read goes on record with the decision, with the moment of its event.
"""

import importlib
import math
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Protocol

import orjson
from django.conf import settings

from registry.refusals import Invalid, Unavailable
from registry.schema import FALLBACK, NULL, Column
from scoring import feast

FAILURES, PAUSE = 3, 1.0  # failures in a row after which the store is left alone, for so many seconds
PREFIX = "countersign:features:"
MISSING, STALE, UNFIT, UNREACHABLE = "missing", "stale", "unfit", "unreachable"


Found = Sequence[tuple[Any, float] | None] | None  # value and moment (POSIX seconds) of each name; None: no answer
Store = Callable[[Sequence[str], str], Found]  # names in the store and an entity → what it holds


class Layout(Protocol):
    """How features lie in the store."""

    def key(self, entity: str) -> bytes:
        """Return the key of the hash that holds an entity's features."""

    def fields(self, names: Sequence[str]) -> list[bytes]:
        """Return the fields to read of that hash."""

    def values(self, names: Sequence[str], found: Sequence[bytes | None]) -> list[tuple[Any, float] | None]:
        """Return value and moment (POSIX seconds) of each name, from what the fields hold."""


class Own:
    """Our own layout: a hash for each entity; a field holds the event's milliseconds, a colon, the value as JSON."""

    def key(self, entity: str) -> bytes:
        """Return the key of an entity."""
        return f"{PREFIX}{entity}".encode()

    def fields(self, names: Sequence[str]) -> list[bytes]:
        """Return the names."""
        return [name.encode() for name in names]

    def values(self, names: Sequence[str], found: Sequence[bytes | None]) -> list[tuple[Any, float] | None]:
        """Return what the fields hold; None of one that is not of this form."""
        return [_parsed(data) for data in found]


def _parsed(data: bytes | None) -> tuple[Any, float] | None:
    moment, colon, value = (data or b"").partition(b":")
    try:
        return (orjson.loads(value), int(moment) / 1000) if colon else None
    except ValueError:
        return None


@dataclass(frozen=True)
class Completed:
    """Features as they are used; `read`: of those from the store, the event's moment, or why there is no value.

    `fallback`: why the package's fallback is to be answered; empty where a score can be given.
    """

    features: dict[str, Any]
    read: dict[str, dict[str, str]]
    fallback: str = ""


def complete(
    columns: Sequence[Column], features: Mapping[str, Any], entity: str, now: datetime, store: Store
) -> Completed:
    """Read those of these columns that were not sent; Invalid or Unavailable where a column's policy refuses.

    A value that was sent counts. Without an entity nothing is read, and nothing is there. `store`: `ask` or `fetched`.
    """
    wanted = [column for column in columns if column.name not in features]
    if not wanted:
        return Completed(dict(features), {})
    found = store([str(column.online) for column in wanted], entity) if entity else [None] * len(wanted)
    values, read, why = dict(features), {}, ""
    for position, column in enumerate(wanted):
        value, told = _used(column, found, position, now)
        read[column.name] = told
        if "lacking" not in told or column.otherwise == NULL:
            values[column.name] = value
        elif column.otherwise == FALLBACK:
            why = why or f"The online store has no usable {column.name} of this entity: {told['lacking']}."
        else:
            raise _refusal(column, told["lacking"], entity)
    return Completed(values, read, why)


def _used(column: Column, found: Found, position: int, now: datetime) -> tuple[Any, dict[str, str]]:
    """Return the value that is used and what is put on record of it: `at`, its event, and `lacking`, why it is not."""
    if found is None:
        return None, {"lacking": UNREACHABLE}
    item = found[position]
    if item is None:
        return None, {"lacking": MISSING}
    value, moment = item
    told = {"at": datetime.fromtimestamp(moment, UTC).isoformat()}
    if now.timestamp() - moment > (column.max_age or 0):
        return None, {**told, "lacking": STALE}
    try:
        missing = math.isnan(column.encode(value))
    except ValueError:
        return None, {**told, "lacking": UNFIT}
    return (None, {**told, "lacking": MISSING}) if missing and column.otherwise != NULL else (value, told)


def _refusal(column: Column, lacking: str, entity: str) -> Invalid | Unavailable:
    if lacking == UNREACHABLE:
        return Unavailable(f"The online store does not answer, and {column.name} was not sent. Send it, or try again.")
    detail = f"{column.name} was not sent, and in the online store it is {lacking}"
    if not entity:
        detail += ": no `entity` was named"
    return Invalid(
        f"{detail}. Send it, or load it for this entity first.",
        reasons=[{"pointer": f"#/features/{column.name}", "detail": detail}],
    )


def ask(names: Sequence[str], entity: str) -> Found:
    """Return what the store holds of an entity, by one HMGET; None when it does not answer."""
    layout = _layout()
    found = _breaker.call(lambda: client().hmget(layout.key(entity), layout.fields(names)))
    return None if found is None else layout.values(names, found)


def fetched(columns: Sequence[Column], entities: Sequence[str]) -> Store:
    """Return a store that knows what the store holds of these entities: all of it is asked for in one journey."""
    names, layout = [str(column.online) for column in columns], _layout()
    found = _breaker.call(lambda: _pipelined(layout, names, entities)) if entities else []
    known = {
        entity: dict(zip(names, layout.values(names, some), strict=True))
        for entity, some in zip(entities, found or [], strict=False)
    }
    return lambda wanted, entity: None if found is None else [known.get(entity, {}).get(name) for name in wanted]


def _pipelined(layout: Layout, names: Sequence[str], entities: Sequence[str]) -> list[Any]:
    pipeline = client().pipeline(transaction=False)
    for entity in entities:
        pipeline.hmget(layout.key(entity), layout.fields(names))
    answer: list[Any] = pipeline.execute()
    return answer


@dataclass
class _Breaker:
    """Leaves the store alone for a while after failures in a row: a request is not to wait for one that is gone."""

    failed: int = 0
    until: float = -math.inf
    lock: threading.Lock = field(default_factory=threading.Lock)

    def call(self, ask: Callable[[], list[Any]]) -> list[Any] | None:
        """Return what is answered; None when nothing is, or nobody was asked."""
        if time.monotonic() < self.until:
            return None
        try:
            answer = ask()
        except (OSError, _errors()):
            self._fail()
            return None
        self.failed = 0
        return answer

    def _fail(self) -> None:
        with self.lock:
            self.failed += 1
            if self.failed >= FAILURES:
                self.until = time.monotonic() + PAUSE


_breaker = _Breaker()
_clients: dict[str, Any] = {}


def client() -> Any:
    """Return this process's connection to the store, with the patience of a request."""
    if settings.FEATURES_URL not in _clients:
        _clients[settings.FEATURES_URL] = connect(seconds=settings.FEATURES_TIMEOUT_MS / 1000)
    return _clients[settings.FEATURES_URL]


def connect(*, seconds: float) -> Any:
    """Return a connection whose every answer takes so many seconds at the most; its library is imported here only."""
    if not settings.FEATURES_URL:
        raise Unavailable("Features are kept in an online store, and none is named. Set FEATURES_URL.")
    redis, backoff, retry = (importlib.import_module(f"redis{part}") for part in ("", ".backoff", ".retry"))
    once = retry.Retry(backoff.NoBackoff(), 0)
    patience = {"socket_timeout": seconds, "socket_connect_timeout": seconds}
    return redis.Redis.from_url(settings.FEATURES_URL, retry=once, **patience)


def forget() -> None:
    """Connect anew, and ask again at once."""
    _clients.clear()
    _breaker.failed, _breaker.until = 0, -math.inf


def _errors() -> type[Exception]:
    error: type[Exception] = importlib.import_module("redis").RedisError
    return error


def _layout() -> Layout:
    project, _, key = settings.FEATURES_FEAST.partition(":")
    name, _, kind = key.partition(":")
    return feast.Layout(project, name, kind == "int64") if project else Own()
