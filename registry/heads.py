"""The signed heads of a log, and which of them the witnesses of the operator's trust policy have cosigned."""

import ipaddress
import re
from datetime import timedelta
from urllib.parse import urlsplit

from django.conf import settings
from django.contrib.postgres.aggregates import ArrayAgg
from django.db.models.functions import Now

from registry.models import Checkpoint, Cosignature
from registry.refusals import Mismatch, Unavailable
from registry.tlog import trust

COSIGNED_WITHIN = timedelta(seconds=60)  # how long a quorum of witnesses may take
_LOOK = 300  # heads with cosignatures among which the newest with a quorum is looked for
_URL = re.compile(r"https?://(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]+)?(?:/[!-~]*)?")


def policy() -> trust.Policy | None:
    """Return the trust policy of this log's operator; None where there is none.

    Raises Mismatch when the file cannot be read, is not of the format, or has a witness whose cosignatures could not be
    kept (the format takes any bytes for a name) or who could not be spoken to.
    """
    path = settings.LOG_POLICY_FILE
    try:
        found = trust.Policy.parse(path.read_bytes())
        for name, witness in found.witnesses.items():
            _demand_usable(name, witness.url)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise Mismatch(
            f"The trust policy {path} cannot be read: {error.strerror}. Let this process read it."
        ) from error
    except Mismatch as mismatch:
        raise Mismatch(f"The trust policy {path} cannot be used: {mismatch.detail} Put the file right.") from mismatch
    return found


def _demand_usable(name: str, url: str | None) -> None:
    """Raise Mismatch unless a witness's name fits its column and its URL, if it has one, leads somewhere."""
    longest = Cosignature._meta.get_field("witness").max_length or 0
    if len(name) > longest or not name.isprintable():  # a byte that is not UTF-8 was read as a lone surrogate
        raise Mismatch(f"the witness name {name[:40]!r} is not printable UTF-8 of at most {longest} characters.")
    if url is not None and not _is_url(url):
        raise Mismatch(f"{url[:60]!r}, where witness {name[:40]!r} should listen, is not a URL (http, https).")


def _is_url(text: str) -> bool:
    try:
        parts = urlsplit(text)
        host, _ = parts.hostname or "", parts.port  # a port above 65535 is a ValueError
        if ":" in host or re.fullmatch(r"[0-9.]+", host):
            ipaddress.ip_address(host)
    except ValueError:
        return False
    return bool(_URL.fullmatch(text))


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
