"""What the create calls do: register a model with its tags, ask for a version of what was logged."""

import logging
import time
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from celery import current_app
from django.db import transaction
from kombu.exceptions import OperationalError

from registry import labels, pinning, registrations, versions
from registry.api.mlflow.errors import Exists
from registry.intake import sources
from registry.models import RegisteredModel, Registration, User
from registry.pinning import OWN
from registry.refusals import Conflict, Invalid

FORGOTTEN = 30  # seconds until a ring that nobody heard is forgotten; the beat rings again
MOMENT, PAUSE = 0.5, 0.02  # seconds

log = logging.getLogger(__name__)


@transaction.atomic
def model(*, name: str, description: str, tags: Mapping[str, str], by: User, now: datetime) -> RegisteredModel:
    """Register a model owned by its creator; purpose and exposure come as tags, else it counts as most material."""
    if "mlflow.prompt.is_prompt" in tags:
        raise Invalid("Prompts are not registered here, only models.")
    chosen = {key: tags[OWN + key] for key in ("purpose", "exposure") if OWN + key in tags}
    try:
        made = versions.register_model(name=name, description=description, by=by, now=now, **chosen)
    except Conflict as taken:
        raise Exists(f"Registered Model (name={name}) already exists. {taken.detail}") from taken
    for key, value in tags.items():
        labels.tag(model=made, registration=None, key=key, value=value, by=by, now=now)
    return made


def version(*, source: str, tags: Mapping[str, str], **asked: Any) -> Registration:
    """Ask for a version and ring for the worker; what can be known to be wrong without looking is refused at once."""
    sources.admit(source)
    pinning.data_of(tags)
    registration = registrations.ask(source=source, tags=tags, **asked)
    _ring()
    return _a_moment_later(registration)


def _ring() -> None:
    """Tell the intake worker that something waits; without a queue it finds that by itself, a beat later."""
    try:
        current_app.send_task("monitoring.tasks.intake.pin_waiting", queue="intake", expires=FORGOTTEN, retry=False)
    except OperationalError:
        log.exception("the queue does not answer; the intake worker finds what waits later")


def _a_moment_later(registration: Registration) -> Registration:
    """Return a registration when it has ended, or after MOMENT as it stands: a client that reads PENDING sleeps 3 s."""
    end = time.monotonic() + MOMENT
    while True:
        found = versions.registration_of(registration.model.name, registration.number)
        if registrations.standing(found).status != registrations.Status.PENDING or time.monotonic() > end:
            return found
        time.sleep(PAUSE)
