"""What the intake worker does with a registration: fetch its files, describe them and pin them, or say why not.

It pulls: whatever was asked for and has not ended waits here, those tried least first and then the oldest. A lock that
dies with its holder keeps two workers from one registration; a worker that dies loses nothing but its attempt.
"""

import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from django.db import IntegrityError
from django.db.models import Count, Max

from registry import artifacts, datasets, lineage, locks, mlmodel, policies, ranges, registrations, versions
from registry.intake import sources
from registry.intake.files import Remote, counted
from registry.models import Dataset, IntakeAttempt, IntakeFile, ModelVersion, Registration
from registry.refusals import Invalid, Refusal, TooLarge, Unavailable, Unknown
from registry.registrations import INTAKE, Kind

ATTEMPTS = 12  # a registration that so many attempts left without an end is not tried again
PATIENCE = timedelta(minutes=15)  # for how long a server that does not answer is asked again
AT_ONCE, LONGEST_PAUSE = 2, 120  # attempts without a pause, as after a killed worker; seconds of the longest pause
LARGEST_DOCUMENT = 4 * 1024 * 1024  # bytes of an MLmodel file; and of a model's end, where its categories are
OWN = "countersign."  # tags that say what the record says, hence fixed once it is written

Trial = Callable[[Path, str, str, int], dict[str, Any]]

log = logging.getLogger(__name__)


def waiting(now: datetime) -> list[Registration]:
    """Return the registrations without an end that nobody is at and that were left alone long enough."""
    rows = Registration.objects.filter(version=None, refusal=None).select_related("model", "asked_by")
    rows = rows.annotate(tried=Count("attempts"), begun=Max("attempts__started_at"))
    due = [row for row in rows.order_by("tried", "asked_at", "pk") if not row.begun or now - row.begun >= _pause(row)]
    held = locks.held(_lease(row) for row in due)
    return [row for row in due if _lease(row) not in held]


def _pause(registration: Any) -> timedelta:
    tried = registration.tried
    return timedelta(seconds=0 if tried <= AT_ONCE else min(2.0 ** (tried - AT_ONCE), LONGEST_PAUSE))


def perform(registration: Registration, *, now: datetime, trial: Trial) -> None:
    """Bring a registration to its end; nothing when it has one, when another worker is at it, or when it must wait.

    `trial`: scans the files in a folder, loads the model (its flavour, file, number of features) for the first time and
    proves how it is explained, where that harms nobody.
    """
    with locks.alone(_lease(registration)) as mine:
        ended = Registration.objects.filter(pk=registration.pk).exclude(version=None, refusal=None).exists()
        if not mine or ended:
            return
        tried = registration.attempts.count()
        IntakeAttempt.objects.create(registration=registration, started_at=now)
        if tried >= ATTEMPTS:
            _refuse(registration, Kind.FAILED, _interrupted(tried), now)
        else:
            _perform(registration, now, trial)


def _perform(registration: Registration, now: datetime, trial: Trial) -> None:
    try:
        _pin(registration, now, trial)
    except Unavailable as refusal:
        if now - registration.asked_at < PATIENCE:
            log.warning("%s waits: %s", registration, refusal.detail)
        else:
            _refuse(registration, Kind.UNVERIFIED, refusal.detail, now)
    except Unknown as refusal:
        _refuse(registration, Kind.UNVERIFIED, refusal.detail, now)
    except Refusal as refusal:
        _refuse(registration, Kind.FAILED, refusal.detail, now)
    except IntegrityError:  # the lease was lost with its session, and another worker was faster
        log.exception("%s has ended already", registration)


def _pin(registration: Registration, now: datetime, trial: Trial) -> ModelVersion:
    offered = sources.fetch(registration.source, registration.run_id, registration.logged_model)
    artifact = _stored(registration, offered.files, now)
    described = _described(artifact)
    if described.run_id and offered.run_id and described.run_id != offered.run_id:
        raise Invalid(f"The MLmodel file says run {described.run_id}, the request {offered.run_id}. Leave run_id out.")
    found = _examined(artifact, described, trial)
    accept(found, policies.in_force(registration.model.tier).rules)
    data = data_of({**_logged(offered.inputs), **offered.tags, **registration.tags})
    described = replace(
        described,
        unservable=described.unservable or found.get("refused", ""),
        schema=ranges.learned(described.schema, data.get("reference")),
    )
    known = {
        **offered.inputs,
        "scan": found["scan"],
        "explanation": found.get("explanation"),
        "source": registration.source,
        "run_id": offered.run_id,
        "model_id": offered.model_id,
        "run_link": registration.run_link,
        "code_commit": offered.tags.get("mlflow.source.git.commit", ""),
        "code_dirty": offered.tags.get("mlflow.source.git.dirty", ""),
        "parameters": offered.parameters,
    }
    return versions.pin(
        registration=registration,
        described=described,
        artifact=artifact,
        lineage={key: value for key, value in known.items() if value},
        metrics=offered.metrics,
        data=data,
        actor=INTAKE,
        now=now,
    )


def _stored(registration: Registration, files: list[Remote], now: datetime) -> dict[str, dict[str, Any]]:
    """Store each file and return path → {sha256, size}; what an interrupted attempt stored is not fetched again."""
    known = {(row.path, row.mark): row for row in registration.files.all() if row.mark}
    artifact = {}
    for file in files:
        row = known.get((file.path, file.mark))
        if row is None or artifacts.missing(row.sha256):
            sha256, size = artifacts.receive(counted(file))
            row = IntakeFile.objects.create(
                registration=registration, path=file.path, mark=file.mark, sha256=sha256, size=size, stored_at=now
            )
        artifact[file.path] = {"sha256": row.sha256, "size": row.size}
    return artifact


def _described(artifact: dict[str, dict[str, Any]]) -> mlmodel.Description:
    document = artifact.get("MLmodel")
    if document and document["size"] > LARGEST_DOCUMENT:
        raise TooLarge(f"The MLmodel file has more than {LARGEST_DOCUMENT:,} bytes.")
    text = artifacts.get(document["sha256"]) if document else None
    return mlmodel.describe(text, artifact, lambda path: artifacts.tail(artifact[path]["sha256"], LARGEST_DOCUMENT))


def _examined(artifact: dict[str, dict[str, Any]], described: mlmodel.Description, trial: Trial) -> dict[str, Any]:
    """Scan the files, and load the model if it could be served, in a process that may die of it."""
    features = 0 if described.unservable else len(described.schema)
    with TemporaryDirectory(prefix="intake-") as folder:
        for path, entry in artifact.items():
            artifacts.lay(entry["sha256"], Path(folder, path))
        return trial(Path(folder), described.flavour, described.file, features)


def accept(found: Mapping[str, Any], rules: Mapping[str, Any]) -> None:
    """Refuse what no policy accepts, and pickles where this one does not; `found`: what the trial told."""
    if "died" in found:
        raise Invalid(f"The process that loaded the model for the first time died {found['died']}: it is not kept.")
    scan, wanted = found["scan"], rules.get("parameters", {}).get("intake", {})
    if scan["bombs"]:
        raise Invalid(f"An archive is not accepted: {'; '.join(scan['bombs'])[:500]}.")
    if scan["dangerous"]:
        raise Invalid(
            f"A pickle would run what no model needs: {'; '.join(scan['dangerous'])[:500]}. Log the model in a format "
            "that holds no code: LightGBM or XGBoost boosters, ONNX, or scikit-learn with serialization_format='skops'."
        )
    if scan["pickles"] and wanted.get("pickles") == "refuse":
        raise Invalid(f"The policy accepts no pickles, which run code when loaded: {', '.join(scan['pickles'])[:500]}.")
    if scan["code"] and wanted.get("code") == "refuse":
        raise Invalid(f"The policy accepts no models with code of their own: {'; '.join(scan['code'])[:500]}.")


def _logged(inputs: Mapping[str, Any]) -> dict[str, str]:
    """Return the registered data sets that a run logged as its inputs, as tags; others stay in the lineage alone."""
    found = lineage.registered(inputs.get("datasets", ()))
    held = set(Dataset.objects.filter(digest__in=found.values()).values_list("digest", flat=True))
    return {OWN + role: digest for role, digest in found.items() if digest in held}


def data_of(tags: Mapping[str, str]) -> dict[str, Dataset]:
    """Return the data sets that `countersign.<role>` tags name by digest; Invalid when one is not registered."""
    found = {}
    for role in versions.DATA_ROLES:
        digest = tags.get(OWN + role, "").removeprefix("sha256:")
        try:
            if digest:
                found[role] = datasets.by_digest(digest)
        except Unknown as unknown:
            raise Invalid(f"Tag {OWN}{role}: {unknown.detail}") from unknown
    return found


def _refuse(registration: Registration, kind: Kind, reason: str, now: datetime) -> None:
    log.warning("%s is %s: %s", registration, kind, reason)
    registrations.refuse(registration=registration, kind=kind, reason=reason, now=now)


def _interrupted(tried: int) -> str:
    return (
        f"Its intake was interrupted {tried} times: the worker was killed (is there memory enough?), or lost the "
        "database or the artifact store. The worker's log says which. Mend it and register the version again."
    )


def _lease(registration: Registration) -> str:
    return f"intake:{registration.pk}"
