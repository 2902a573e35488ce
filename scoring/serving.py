"""What this process serves: the warranted package of each model, verified, loaded and kept until another one counts."""

import logging
import threading
import time
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction
from django.utils import timezone

from registry import artifacts, canonical, ledger, versions
from registry.models import Package
from registry.refusals import Refusal, Unavailable
from registry.schema import Schema
from scoring import deployments, runtimes
from scoring.events import Event
from scoring.models import Deployment, RefusedLoad

RETRY = 30.0  # seconds until a deployment that was refused is tried again: the fault may have been mended
FRESH = 0.5  # seconds after which the newest deployment is asked for again

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Serving:
    """A loaded package: everything an answer needs."""

    deployment: Deployment
    package: Package
    schema: Schema
    runtime: runtimes.Runtime


@dataclass
class _Slot:
    asked: float = 0.0
    serving: Serving | None = None
    refused: int | None = None
    retry: float = 0.0


_slots: dict[str, _Slot] = {}
_lock = threading.Lock()


def champion(name: str) -> Serving:
    """Return the package that serves a model. A newer one that does not verify leaves the last good one in place."""
    slot = _slots.get(name)
    if slot and slot.serving and time.monotonic() - slot.asked < FRESH:
        return slot.serving
    with _lock:
        slot = _slots.get(name) or _Slot()
        _refresh(name, slot)
        _slots[name] = slot  # not before: whatever name is asked for, only what exists is remembered
        if slot.serving is None:
            raise Unavailable(
                f"No champion of {name} can be served: its deployment does not verify. The platform team was alerted."
            )
        return slot.serving


def _refresh(name: str, slot: _Slot) -> None:
    deployment = deployments.current(versions.model_named(name))
    slot.asked = time.monotonic()
    if deployment is None:
        slot.serving = None
        raise Unavailable(f"{name} has no champion yet. A version must be approved and promoted before it can score.")
    waiting = slot.refused == deployment.pk and time.monotonic() < slot.retry
    if waiting or (slot.serving and slot.serving.deployment.pk == deployment.pk):
        return
    try:
        slot.serving, slot.refused = load(deployment), None
    except Refusal as refusal:
        _refused(slot, deployment, refusal.detail)
    except Exception as error:  # noqa: BLE001 - whatever keeps a new package from loading, the last good one goes on
        log.exception("deployment %s of %s broke while it was loaded", deployment.pk, name)
        _refused(slot, deployment, f"It could not be loaded: {type(error).__name__}.")


def _refused(slot: _Slot, deployment: Deployment, reason: str) -> None:
    slot.refused, slot.retry = deployment.pk, time.monotonic() + RETRY
    log.error("refused to load deployment %s of %s: %s", deployment.pk, deployment.model, reason)
    record_refusal(deployment, reason, timezone.now())


def load(deployment: Deployment) -> Serving:
    """Verify the warrant, the digests and every byte of the artifact, then load the model."""
    deployments.verify(deployment)
    version = deployment.package.version
    schema = Schema.load(version.schema)
    files = artifacts.files(version.artifact)
    runtime = runtimes.load(version.flavour, files, version.lineage["model_file"], len(schema.columns))
    return Serving(deployment, deployment.package, schema, runtime)


def record_refusal(deployment: Deployment, reason: str, now: datetime) -> None:
    """Put on record, once, that a deployment was not loaded; monitoring raises the alert."""
    with transaction.atomic():
        _, made = RefusedLoad.objects.get_or_create(deployment=deployment, reason=reason, defaults={"at": now})
        if made:
            facts = {"deployment": deployment.pk, "reason": canonical.digest(reason)}
            ledger.append(
                Event.DEPLOYMENT_REFUSED,
                subject=f"model:{deployment.model_id}",
                actor="service:scoring",
                at=now,
                facts=facts,
            )
