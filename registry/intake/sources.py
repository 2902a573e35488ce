"""Which addresses are understood, which are refused without looking, and who is asked for the others."""

import re
from urllib.parse import unquote, urlsplit

from registry.intake import copies, folders, objects, tracking
from registry.intake.files import Offered, Unresolved
from registry.refusals import Invalid


def admit(source: str) -> None:
    """Refuse a source that can never be taken, without looking for it: Invalid says why."""
    plain = source
    while (decoded := unquote(plain)) != plain:
        plain = decoded
    try:
        url = urlsplit(plain)
    except ValueError as error:  # brackets that are no IPv6 address
        raise Invalid(f"Artifacts cannot be taken from {source[:100]!r}: it is no address.") from error
    if not plain.isprintable() or any(part in ("..", ".") for part in re.split(r"[/\\]", plain)):
        raise Invalid(f"Artifacts cannot be taken from {source[:100]!r}: it has '.' or '..' parts, or odd letters.")
    if "@" in url.netloc.removesuffix(_container(url.scheme, url.netloc)) or _secret(url.query):
        raise Invalid(
            "Artifacts cannot be taken from an address with a password or key in it: the record keeps it for ever. "
            "Give the intake worker its own access instead."
        )
    if url.scheme in ("", "file"):
        folders.admit(plain)


def fetch(source: str, run_id: str = "", model_id: str = "") -> Offered:
    """Return what a source offers; Unresolved when nothing is known of it, Invalid, TooLarge or Unavailable else."""
    admit(source)
    scheme = urlsplit(source).scheme
    if copies.named(source):
        return copies.listed(source, run_id, model_id)
    if scheme in ("runs", "models", "mlflow-artifacts"):
        return tracking.fetch(source, run_id, model_id)
    asked = tracking.beside(run_id, model_id)
    if scheme in objects.SCHEMES:
        return asked(objects.listed(source))
    if scheme in ("", "file"):
        return asked(folders.listed(source))
    raise Unresolved(
        f"Artifacts cannot be taken from {source[:100]!r}. Log the model to this server's tracking "
        "(mlflow.set_tracking_uri) and register it from there, as runs:/… or models:/m-…"
    )


def _container(scheme: str, place: str) -> str:
    """Return what follows a container's name in an Azure address (`container@account`): no password is meant."""
    return "@" + place.rpartition("@")[2] if scheme in ("abfss", "wasbs") and ":" not in place.split("@")[0] else ""


def _secret(query: str) -> bool:
    return bool(re.search(r"(?i)(^|[&;])(sig|x-amz-signature|x-goog-signature|.*(token|key|secret|password))=", query))
