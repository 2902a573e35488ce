"""What the endpoints of every protocol share: the body as its bytes, and whether anything is decided at all."""

from django.conf import settings
from django.db import DatabaseError
from rest_framework.request import Request

from registry.refusals import TooLarge, Unavailable
from scoring import admission, vigil
from scoring.protocols import bodies


def body_of(request: Request) -> bytes:
    """Return the body of a request, inflated; whatever its media type, since some stock clients name none."""
    limit = settings.BATCH_BODY_LIMIT
    data = request._request.read(limit + 1)
    if len(data) > limit:
        raise TooLarge(f"A request has at most {limit} bytes. Send fewer rows at once.")
    return bodies.inflated(data, request.headers.get("Content-Encoding", ""), limit=limit)


def obstacle() -> str | None:
    """Return why this process decides on nothing at the moment; None: it does."""
    if missing := vigil.unready():
        return f"Not ready yet: {'; '.join(missing)}."
    try:
        admission.demand()
    except Unavailable as refusal:
        return refusal.detail
    except DatabaseError:
        return "The database does not answer."
    return None
