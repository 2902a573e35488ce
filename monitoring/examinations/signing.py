"""Whether somebody whom the policy names signed the candidate's files."""

from collections.abc import Mapping
from typing import Any

from monitoring import demands
from monitoring.candidates import Candidate
from monitoring.checks import signing
from monitoring.measurement import Measured
from registry import artifacts
from registry.refusals import Invalid


def measure(candidate: Candidate, rules: Mapping[str, Any]) -> Measured:
    """Measure the signature `model.sig` of the candidate against the keys and certificates of the policy."""
    named = rules.get("parameters", {}).get(demands.SIGNING, {})
    keys, authorities = named.get("keys", {}), named.get("authorities", {})
    if demands.SIGNING in rules["checks"] and not (keys or authorities):
        raise Invalid(
            "The policy demands a signature and names nobody whose signature counts. Adopt one that does: "
            "`parameters`, `signing`, `keys` or `authorities`, name → PEM."
        )
    files = artifacts.files(candidate.version.artifact)
    return signing.measure(files, demands.SIGNATURE, keys=keys, authorities=authorities)
