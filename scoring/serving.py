"""What this process serves: the warranted package of each model, verified, loaded and kept until another one counts.

Where a watcher is at work (`scoring.vigil`), it brings what is newer, and a request only looks up what is there.

A deployment that does not verify is refused and put on record; monitoring raises the alert. The last good package goes
on then. A process that holds none takes the newest package whose warrant verifies and answers with its fallback: an
older model does not return by itself.
"""

import logging
import math
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import numpy as np
from django.conf import settings
from django.db import transaction

from registry import artifacts, canonical, ledger, versions
from registry.models import ModelVersion, Package, RegisteredModel
from registry.refusals import Conflict, Mismatch, Refusal, Unavailable, Unknown
from registry.schema import Schema
from scoring import contact, deployments, environments, online, runtimes
from scoring.events import Event
from scoring.models import Deployment, RefusedLoad

RETRY = 30.0  # seconds until a deployment that was refused is tried again: the fault may have been mended
FRESH = 0.5  # seconds after which the newest deployment is asked for again
PATIENCE = 5.0  # seconds that a request waits for the first package of a model, which the watcher is bringing
NOT_LOADED = "The champion could not be verified and loaded, so its fallback answers. The platform team was alerted."

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Serving:
    """A verified package: everything an answer needs. Where its model is not loaded, its fallback is the answer."""

    deployment: Deployment
    package: Package
    schema: Schema
    runtime: runtimes.Runtime | None


@dataclass
class _Slot:
    """What this process knows of one model; its lock is held by whoever asks for something newer."""

    model: RegisteredModel
    asked: float = -math.inf
    serving: Serving | None = None
    refused: Deployment | None = None
    retry: float = 0.0
    lock: threading.Lock = field(default_factory=threading.Lock)
    tried: threading.Event = field(default_factory=threading.Event)


_slots: dict[str, _Slot] = {}
_deployments: dict[int, Deployment] = {}  # those that were served, for decisions that were answered under them


def champion(name: str, *, now: datetime) -> Serving:
    """Return the package that serves a model. A newer one that does not verify leaves the last good one in place.

    One thread looks for a newer package; meanwhile the others are answered by the loaded one, and other models by
    theirs. Unknown when no model has this name, Unavailable when nothing of it is authentic.
    """
    slot = _slots.get(name) or _slots.setdefault(name, _Slot(versions.model_named(name)))
    if contact.watched():
        if slot.serving is None and not slot.tried.is_set():
            _await(slot)
    elif not (slot.serving and _fresh(slot)) and slot.lock.acquire(blocking=slot.serving is None):
        try:
            if not (slot.serving and _fresh(slot)):  # else somebody else brought it while this thread waited
                _refresh(slot, now)
        finally:
            slot.lock.release()
    if slot.serving is None:
        raise Unavailable(
            f"No champion of {name} can be served: its deployment does not verify. The platform team was alerted."
        )
    return slot.serving


def demand_version(served: Serving, number: int | None) -> None:
    """Raise Conflict unless the package that serves is the version that was asked for; None asks for whichever serves.

    Unknown when no such version was ever registered.
    """
    serves = served.package.version.number
    if number is not None and number != serves:
        _demand_existing(served.deployment.model, number)
        raise Conflict(
            f"Version {number} of {served.deployment.model} is not its champion, version {serves}, and only a champion "
            "answers. Ask without a version, or for the champion."
        )


def _demand_existing(model: RegisteredModel, number: int) -> None:
    if number >= 1 << 31 or not ModelVersion.objects.filter(model=model, number=number).exists():
        raise Unknown(f"{model} has no version {number}.")


def behind() -> list[str]:
    """Return the models of which something newer than this process serves is to be tried now, by one query for all."""
    newest = {deployment.model.name: deployment for deployment in deployments.champions()}
    for name, deployment in newest.items():
        _slots.setdefault(name, _Slot(deployment.model))
    return [name for name, slot in list(_slots.items()) if _due(slot, newest.get(name))]


def bring(name: str, *, now: datetime) -> None:
    """Verify, load and warm what is due of a model; meanwhile the package that is loaded answers."""
    slot = _slots[name]
    with slot.lock:
        if due := _due(slot, newest := deployments.current(slot.model)):
            _activate(slot, due, now, gone=newest is None)
        slot.tried.set()


def missing() -> list[str]:
    """Return the models that have a champion which this process has not tried to load yet."""
    return [name for name, slot in list(_slots.items()) if not slot.tried.is_set()]


def known(deployment: int) -> Deployment | None:
    """Return a deployment that this process serves or served."""
    return _deployments.get(deployment)


def _await(slot: _Slot) -> None:
    """Let the watcher bring the first package of a model, and wait for it a little."""
    if deployments.current(slot.model) is None:
        raise _no_champion(slot)
    contact.wake.set()
    if not slot.tried.wait(PATIENCE):
        raise Unavailable(f"The champion of {slot.model} is being loaded. Send the same again in a moment.")


def _fresh(slot: _Slot) -> bool:
    return time.monotonic() - slot.asked < FRESH


def _refresh(slot: _Slot, now: datetime) -> None:
    newest = deployments.current(slot.model)
    slot.asked = time.monotonic()
    if newest is None and slot.serving is None:
        raise _no_champion(slot)
    if due := _due(slot, newest):
        _activate(slot, due, now, gone=newest is None)


def _no_champion(slot: _Slot) -> Unavailable:
    return Unavailable(
        f"{slot.model} has no champion yet. A version must be approved and promoted before it can score."
    )


def _due(slot: _Slot, newest: Deployment | None) -> Deployment | None:
    """Return what is to be activated now: a newer deployment, or the served one when every row of it is gone."""
    serving = slot.serving
    due = newest or (serving.deployment if serving else None)
    if due is None or (newest and serving and serving.runtime and _same(serving.deployment, newest)):
        return None
    if slot.refused and _same(slot.refused, due) and time.monotonic() < slot.retry:
        return None
    return due


def _same(one: Deployment, other: Deployment) -> bool:
    """Say whether two readings of a deployment say the same: whoever changes a row in place is noticed by this."""
    return _rows(one) == _rows(other)


def _rows(deployment: Deployment) -> list[dict[str, Any]]:
    package = deployment.package
    rows = (deployment, deployment.model, package, package.version, package.policy)
    return [{name: value for name, value in vars(row).items() if not name.startswith("_")} for row in rows]


def _activate(slot: _Slot, deployment: Deployment, now: datetime, *, gone: bool) -> None:
    try:
        if gone:
            raise Mismatch(f"Every deployment of {slot.model} was taken away, this one too.")
        if slot.serving and deployment.pk < slot.serving.deployment.pk:
            raise Mismatch(f"Deployment {slot.serving.deployment.pk} replaced it, and was taken away.")
        loaded = _warmed(load(deployment))
        environments.record(deployment.package.version.flavour, now=now)
        if loaded.schema.online and settings.FEATURES_URL:
            online.client()  # its library is imported before the first request
        slot.serving, slot.refused = loaded, None
        _deployments[deployment.pk] = deployment
    except Refusal as refusal:
        _refused(slot, deployment, refusal.detail, now)
    except Exception as error:  # noqa: BLE001 - whatever keeps a new package from loading, the last good one goes on
        log.exception("deployment %s of %s broke while it was loaded", deployment.pk, slot.model)
        _refused(slot, deployment, f"It could not be loaded: {type(error).__name__}.", now)


def _refused(slot: _Slot, deployment: Deployment, reason: str, now: datetime) -> None:
    log.error("refused to load deployment %s of %s: %s", deployment.pk, deployment.model, reason)
    if slot.serving is None or slot.serving.runtime is None:
        slot.serving = _without_model(slot.model)
    record_refusal(deployment, reason, now)
    slot.refused, slot.retry = deployment, time.monotonic() + RETRY


def load(deployment: Deployment) -> Serving:
    """Verify the warrant, the digests and every byte of the artifact, then load the model."""
    deployments.verify(deployment)
    version = deployment.package.version
    return Serving(deployment, deployment.package, Schema.load(version.schema), model_of(version))


def model_of(version: ModelVersion) -> runtimes.Runtime:
    """Return the model from a version's verified bytes, explained as its own record says."""
    files, library = artifacts.files(version.artifact), runtimes.by_library(version.lineage)
    return runtimes.load(version.flavour, files, version.lineage["model_file"], len(version.schema), library=library)


def _warmed(serving: Serving) -> Serving:
    """Answer a row before the first request does: whatever compiles or allocates at first, has done so then."""
    runtime, row = serving.runtime, np.zeros((1, len(serving.schema.columns)))
    with suppress(Exception):  # a model that copes with no such row is one that answers by its fallback
        ask = runtime.explain if runtime.explains_inline else runtime.score  # type: ignore[union-attr]
        for _ in range(3):
            ask(row)
    return serving


def _without_model(model: RegisteredModel) -> Serving | None:
    """Return the newest package that was warranted for a model, to answer with its fallback; None: nothing was."""
    deployment = deployments.newest_warranted(model)
    if deployment is None:
        return None
    return Serving(deployment, deployment.package, Schema.load(deployment.package.version.schema), None)


def record_refusal(deployment: Deployment, reason: str, now: datetime) -> None:
    """Put on record, once, that a deployment was not loaded; monitoring raises the alert."""
    with transaction.atomic():
        if not Deployment.objects.filter(pk=deployment.pk).exists():
            return  # its row was taken away: nothing can be said about it but in this process's log
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
