"""The signed heads of a log, and which of them the witnesses of the operator's trust policy have cosigned."""

from datetime import timedelta

from django.conf import settings
from django.contrib.postgres.aggregates import ArrayAgg
from django.db.models.functions import Now

from registry.models import Checkpoint, Cosignature
from registry.refusals import Unavailable
from registry.tlog import trust

COSIGNED_WITHIN = timedelta(seconds=60)  # how long a quorum of witnesses may take
_LOOK = 300  # heads with cosignatures among which the newest with a quorum is looked for


def policy() -> trust.Policy | None:
    """Return the trust policy of this log's operator; None where there is none."""
    try:
        return trust.Policy.parse(settings.LOG_POLICY_FILE.read_bytes())
    except FileNotFoundError:
        return None


def cosigned(log: str) -> int | None:
    """Return the size of the newest head that a quorum of witnesses cosigned; None where none is asked for."""
    trusted = policy()
    if trusted is None or trusted.quorum == trust.NONE:
        return None
    heads = Cosignature.objects.filter(tree__log=log).values("tree__size").annotate(by=ArrayAgg("witness"))
    for head in heads.order_by("-tree__size")[:_LOOK]:
        if trusted.satisfied(head["by"]):
            return int(head["tree__size"])
    return 0


def latest(log: str) -> Checkpoint:
    """Return the newest signed head that a quorum cosigned; the newest at all where witnesses have long been silent."""
    heads = Checkpoint.objects.filter(tree__log=log).select_related("tree").order_by("-tree__size")
    newest = heads.first()
    if not newest:
        raise Unavailable(f"The {log} log has no checkpoint yet. The sequencer signs one within seconds.")
    size = cosigned(log)
    if size is None or size == newest.tree.size:
        return newest
    silent = heads.filter(pk=newest.pk, signed_at__lt=Now() - COSIGNED_WITHIN).exists()
    found = None if silent else heads.filter(tree__size=size).first()
    return found or newest


def covers(log: str, index: int) -> bool:
    """Say whether the head that proofs are given under covers this place of a log."""
    return Checkpoint.objects.filter(tree__log=log).exists() and latest(log).tree.size > index
