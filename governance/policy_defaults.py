"""The policies a new platform starts with. They are data: adopt your own and these are history."""

from typing import Any

_CHECKS: dict[str, Any] = {
    "performance": {
        "roc_auc": {"fail_below": 0.6, "warn_below": 0.7, "minimum_n": 150},
        "pr_auc": {"fail_below": 0.05, "minimum_n": 150},
        "recall_at_budget": {"fail_below": 0.05, "minimum_n": 150},
        "brier": {"fail_above": 0.25, "minimum_n": 150},
    },
    "bias": {
        # No law sets a limit for fraud scores: people judge a warning, and only what nobody could explain is refused.
        # n: rows of the smallest group compared. Adverse rows are too few in each group for a limit on fnr_ratio.
        "flag_rate_ratio": {"fail_above": 10.0, "warn_above": 1.25, "alpha": 0.05, "minimum_n": 30},
        "fpr_ratio": {"fail_above": 10.0, "warn_above": 1.25, "alpha": 0.05, "minimum_n": 30},
    },
    "consistency": {
        # Boosters repeat themselves to the bit; the last bit of a linear model's batch depends on its size.
        "golden_difference": {"fail_above": 1e-12, "warn_above": 0, "minimum_n": 100},
        "online_batch_difference": {"fail_above": 0, "minimum_n": 100},
        "unscorable_share": {"fail_above": 0.05, "warn_above": 0.01},
        # Each reason of a decision is what the library itself would give, within 1e-9 (XGBoost: 1e-5).
        "explanation_mismatches": {"fail_above": 0},
    },
    "safety": {
        # Nothing that is served holds a pickle, so a warning here is about what lies beside the model.
        "dangerous": {"fail_above": 0},
        "bombs": {"fail_above": 0},
        "code": {"fail_above": 0},
        "pickles": {"warn_above": 0},
    },
    "drift": {"drifted_share": {"fail_above": 0.5, "warn_above": 0.1, "minimum_n": 150}},
}
_MONITORS: dict[str, Any] = {
    "drift": {"window": 500, "limits": {"largest_psi": {"fail_above": 0.1, "minimum_n": 300}}},
    "performance": {"window": 500, "limits": {"roc_auc": {"fail_below": 0.6, "minimum_n": 300}}},
    "fallbacks": {"window": 500, "limits": {"fallback_share": {"fail_above": 0.01, "warn_above": 0}}},
}
_PARAMETERS: dict[str, Any] = {
    "bias": {"smallest": 30},  # rows below which a group's rates are not compared; alpha stands in the limits
    "drift": {"delta": 0.02, "alpha": 0.01},  # a PSI up to delta is immaterial; alpha is over all columns together
    # What is registered at all: pickles and code of its own are kept, told and never loaded, or refused ("refuse").
    "intake": {"pickles": "keep", "code": "keep"},
    # Whose OpenSSF signatures (`model.sig`) count: name → PEM of a public key, or of an authority's certificate. One is
    # demanded by a check, "signing": {"signature_valid": {"fail_below": 1}}; one that is wrong always fails.
    "signing": {"keys": {}, "authorities": {}},
}
# While the database is gone, decisions are answered on the word of the past, and kept in a journal, for no longer than
# so many minutes since it was last heard who may ask and what serves, and for no more than so many MB a host.
_OUTAGE = {"minutes": 60, "megabytes": 256}
_RETENTION = {"operational-1y": 365, "bsa-5y": 1826, "model-evidence-7y": 2557, "ai-act-10y": 3653}  # days


def _policy(signatures: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "checks": _CHECKS,
        "monitors": _MONITORS,
        "parameters": _PARAMETERS,
        "review_budget": 0.05,
        "signatures": signatures,
        "retraining": {"minimum_labels": 2000, "answer_within_minutes": 0},
        "outage": _OUTAGE,
        "retention_days": 2555,
        "retention_classes": _RETENTION,
    }


DEFAULTS: dict[int, dict[str, Any]] = {
    1: _policy([{"role": "risk-analyst", "count": 1}, {"role": "risk-lead", "count": 1}]),
    2: _policy([{"role": "risk-analyst", "count": 2}]),
    3: _policy([{"role": "risk-analyst", "count": 1}]),
}
