"""How many requests a token may make of this process: counted in its memory alone, in a dictionary of bounded size.

The generic cell rate algorithm (ITU-T I.371): of each token only the moment is kept at which its bucket is full again.
"""

import math
import threading
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any

MOST = (
    10_000  # tokens that are kept in mind; whoever asked longest ago is forgotten first, and starts with a full bucket
)


@dataclass(frozen=True)
class Left:
    """What a token may still ask. `allowed`: whether this request was within the quota; `reset`, `wait`: seconds.

    `remaining` requests may be made at once now; the whole quota is there after `reset`, the next one after `wait`.
    """

    allowed: bool
    remaining: int
    reset: float
    wait: float


@dataclass(frozen=True)
class Quota:
    """`requests` within `seconds`: as many at once, and no more on average. 0 requests: no limit."""

    requests: int
    seconds: int

    @classmethod
    def of(cls, text: str, shares: int) -> "Quota":
        """Read `REQUESTS/SECONDS` and return the part of one of `shares` processes, at least one request.

        ValueError says what would have been right.
        """
        requests, slash, seconds = text.partition("/")
        if not (slash and requests.isdigit() and seconds.isdigit() and int(seconds)):
            raise ValueError(f"A rate is a number of requests and of seconds, such as 10000/1, not {text!r}.")
        return cls(math.ceil(int(requests) / max(shares, 1)), int(seconds))

    @property
    def policy(self) -> str:
        """Return the value of RateLimit-Policy (draft-ietf-httpapi-ratelimit-headers-10): a structured field."""
        return f'"token";q={self.requests};w={self.seconds}'


@dataclass
class Meter:
    """Counts the requests of each token under a quota. Times are seconds of a monotonic clock."""

    quota: Quota
    _full: OrderedDict[Any, float] = field(default_factory=OrderedDict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self, token: Any, now: float) -> Left:
        """Count a request of a token, unless it is one too many: those are not counted."""
        each = self.quota.seconds / self.quota.requests
        with self._lock:
            full = max(self._full.get(token, now), now)
            ahead = full + each - now
            allowed = ahead <= self.quota.seconds + each * 1e-9  # as many steps may not add up exactly
            if allowed:
                self._full[token] = full + each
                self._full.move_to_end(token)
                while len(self._full) > MOST:
                    self._full.popitem(last=False)
        reset = ahead if allowed else full - now
        remaining = int((self.quota.seconds - reset) / each + 1e-6)
        return Left(allowed, max(remaining, 0), reset, 0.0 if allowed else ahead - self.quota.seconds)


def header(left: Left) -> str:
    """Return the value of RateLimit: what is left of the quota, and the seconds until all of it is there again."""
    return f'"token";r={left.remaining};t={math.ceil(left.reset)}'
