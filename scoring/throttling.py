"""Each token's share of this process, as Django REST framework asks for it; every answer says what is left of it."""

import time
from typing import Any

from django.conf import settings
from rest_framework.exceptions import Throttled
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

from scoring import rates

METER = rates.Meter(rates.Quota.of(settings.SCORING_RATE, settings.SCORING_PROCESSES))


class PerToken(BaseThrottle):
    """Refuses a request of a token that has made too many; strangers are refused before this."""

    def allow_request(self, request: Request, view: Any) -> bool:
        """Count the request, and let the answer carry RateLimit and RateLimit-Policy."""
        token = getattr(request.auth, "pk", None)
        if token is None or view.needs == "anyone" or not METER.quota.requests:
            return True  # whoever looks after the process may ask how it is at any time
        quota, left = METER.quota, METER.take(token, time.monotonic())
        view.headers["RateLimit-Policy"] = quota.policy
        view.headers["RateLimit"] = rates.header(left)
        if left.allowed:
            return True
        raise Throttled(
            left.wait,
            f"This token asks more than {quota.requests} requests within {quota.seconds} s of this process, its share "
            "of the limit. Nothing was decided; send the same again later.",
        )
