"""The tokens that a server holds, so that checking one asks the database for nothing.

A watcher brings those of the given scopes with their owners and permissions, again and again: a token that was revoked,
or whose owner lost a role, counts until the next time. A secret that is not among them is looked up: it may be new.
"""

import hashlib
import time
from collections.abc import Sequence
from datetime import datetime

from registry import people
from registry.models import ServiceToken
from registry.refusals import Unavailable

REMEMBERED = 2.0  # seconds for which what was looked up holds, whether it is a token or none
MOST_REMEMBERED = 1000
LOOKUPS = 20  # at most in a second: guessed secrets cost the database, and those who are answered, no more than this

_held: dict[bytes, ServiceToken] = {}
_looked_up: dict[bytes, tuple[float, ServiceToken | None]] = {}
_second: tuple[int, int] = (0, 0)  # a second, and how many were looked up in it
_cut_off = False  # whether the database is known not to answer


def bring(scopes: Sequence[str], now: datetime) -> int:
    """Hold the tokens with any of these scopes that count now, each with what its owner may; return how many."""
    global _held, _cut_off
    held = {bytes.fromhex(token.secret_digest): token for token in people.tokens(scopes, now)}
    for owner in {token.owner_id: token.owner for token in held.values()}.values():
        owner.get_all_permissions()  # Django keeps them with the person from now on
    _held, _cut_off = held, False
    _looked_up.clear()
    return len(held)


def cut_off() -> None:
    """Look nothing up until tokens were brought again: the database does not answer."""
    global _cut_off
    _cut_off = True


def forget() -> None:
    """Hold nothing any more."""
    global _held, _second, _cut_off
    _held, _second, _cut_off = {}, (0, 0), False
    _looked_up.clear()


def of(secret: str) -> ServiceToken | None:
    """Return the token of a secret, revoked or expired ones included; None for a secret never issued.

    Unavailable when it is not held and cannot be looked up: too many strange ones came within a second, or the
    database does not answer.
    """
    digest = hashlib.sha256(secret.encode()).digest()
    if held := _held.get(digest):
        return held
    moment = time.monotonic()
    remembered = _looked_up.get(digest)
    if remembered and moment - remembered[0] < REMEMBERED:
        return remembered[1]
    if _cut_off or not _may_ask(int(moment)):
        raise Unavailable(
            "This token is not known to this server yet, and cannot be looked up now. Send it again soon."
        )
    if len(_looked_up) >= MOST_REMEMBERED:
        _looked_up.clear()
    token = people.token_of(secret)
    _looked_up[digest] = (moment, token)
    return token


def _may_ask(second: int) -> bool:
    global _second
    _second = (second, _second[1] + 1 if _second[0] == second else 1)
    return _second[1] <= LOOKUPS
