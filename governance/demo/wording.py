"""What the walk's package says when it gives reasons: to the customer, and to whoever investigates.

Velocity is told as one reason, for its four numbers say the same thing; what screening found is never told a customer.
"""

from collections.abc import Collection
from typing import Any

_VELOCITY = {
    "code": "V01",
    "text": "Many or large payments within a short time",
    "investigator": "Velocity over 1 and 24 hours: compare with the customer's usual week",
    "family": "velocity",
}
_REASONS: dict[str, dict[str, Any]] = {
    "amount": {"code": "A01", "text": "The amount of the payment"},
    "amount_vs_usual": {
        "code": "A02",
        "text": "The amount is unusual for you",
        "investigator": "Amount over the mean of earlier payments",
    },
    "cross_border": {"code": "C01", "text": "The payment goes abroad"},
    "beneficiary_age_days": {
        "code": "B01",
        "text": "The recipient is new to you",
        "investigator": "Days since this customer first paid the beneficiary",
    },
    "new_device": {"code": "D01", "text": "The device is new to us"},
    "two_factor": {"code": "D02", "text": "The payment was not confirmed in a second way"},
    "counterparty_risk": {
        "code": "S01",
        "text": "Screening",
        "investigator": "Risk of the counterparty by screening: do not tip off",
        "restricted": True,
    },
    **dict.fromkeys(("count_1h", "count_24h", "amount_1h", "amount_24h"), _VELOCITY),
}


def reasons(features: Collection[str]) -> dict[str, dict[str, Any]]:
    """Return the reason map for a model with these features; of others' data nothing is known, so it is empty."""
    return _REASONS if set(_REASONS) <= set(features) else {}
