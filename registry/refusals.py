"""Refusal, the base of every anticipated "no": it says what, why and what next, and knows no HTTP."""

from collections.abc import Sequence


class Refusal(Exception):
    """A request that is understood and declined; nothing has changed.

    `reasons` lists every single reason when there are several (a form with three wrong fields, a promotion
    with two objections); each is a dict with `detail` and, for bad fields, `pointer` (a JSON pointer).
    """

    def __init__(self, detail: str, *, reasons: Sequence[dict[str, str]] = ()) -> None:
        super().__init__(detail)
        self.detail = detail
        self.reasons = list(reasons)


class Invalid(Refusal):
    """What was sent cannot be understood or does not fit the declared form."""


class Unknown(Refusal):
    """The thing named does not exist."""


class NotAllowed(Refusal):
    """This person or service may not do this."""


class TooMany(Refusal):
    """Too many attempts in a short time; the next is looked at only after a while."""


class Conflict(Refusal):
    """It contradicts what is already on record."""


class TooLarge(Refusal):
    """More bytes than are accepted."""


class Unavailable(Refusal):
    """It cannot be done right now; trying again later may work."""


class Mismatch(Refusal):
    """Bytes, digests or signatures do not agree: nothing built on them may go on."""
