"""Open a case for an alert that nobody answered; retrain it into a new version at the same front door as anybody's."""

import json
import logging
import os
import subprocess
import sys
import tempfile
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.compute as pc
from django.db import transaction
from django.db.models import Exists, OuterRef, Q

from governance.events import Event
from governance.models import Case, CaseResult
from monitoring import alerts
from monitoring.models import Alert
from registry import datasets, ledger, locks, policies, versions
from registry.canonical import sha256
from registry.models import Dataset, ModelVersion, RegisteredModel, User
from registry.refusals import Refusal, Unavailable
from registry.schema import SCORE
from scoring import deployments
from scoring.models import Decision, Deployment, Outcome

log = logging.getLogger(__name__)

KINDS = ("drift", "performance")
LABEL, TIME = "case label", "case moment"  # beside features of any name
SECONDS = 900  # a training that takes longer has failed
TRAINER = "trainer"  # the account in whose name versions are retrained
MOST_ROWS = 500_000  # labelled decisions that one training learns from, the newest ones
_ANSWER = "Answer the alert; if the monitor alarms again, another case is opened."


def open_cases(now: datetime) -> int:
    """Open a case for each alert about what serves that nobody answered in time; return how many.

    None is opened beside another case that has the cure already.
    """
    waiting = alerts.open_alerts().filter(kind__in=KINDS, case=None).select_related("run__deployment")
    return sum(_open(alert, now) for alert in waiting.order_by("raised_at"))


def _open(alert: Alert, now: datetime) -> bool:
    cause = f"{alert.kind}: {alert.detail}"
    with transaction.atomic():
        locks.hold(f"model:{alert.model_id}")
        if alert.raised_at + _patience(alert.model) > now or not _needs_a_cure(alert.deployment):
            return False
        case, made = Case.objects.get_or_create(
            alert=alert, defaults={"model": alert.model, "cause": cause, "opened_at": now}
        )
        if made:
            facts = {"case": str(case.id), "alert": str(alert.id), "cause": sha256(cause.encode())}
            subject = f"model:{alert.model_id}"
            ledger.append(Event.CASE_OPENED, subject=subject, actor="service:retraining", at=now, facts=facts)
    return made


def _rules(model: RegisteredModel) -> dict[str, Any]:
    rules: dict[str, Any] = policies.in_force(model.tier).rules["retraining"]
    return rules


def _patience(model: RegisteredModel) -> timedelta:
    """Return how long people have to answer an alert before a case is opened."""
    return timedelta(minutes=_rules(model).get("answer_within_minutes", 0))


def _needs_a_cure(deployment: Deployment) -> bool:
    """Say whether a deployment still serves and no case of it is open or has given a version already.

    Drift and decay of one deployment are one illness: a second training would learn from the same decisions.
    """
    cases = Case.objects.filter(alert__run__deployment=deployment)
    cured = cases.filter(Q(result=None) | Q(result__version__isnull=False)).exists()
    return not cured and deployments.current(deployment.model) == deployment


def labels(case: Case) -> tuple[int, int]:
    """Return how many labelled decisions of the population that alarmed there are, and how many a retraining needs.

    Nobody needs to know of more than are needed, so no more are counted.
    """
    needed: int = _rules(case.model)["minimum_labels"]
    labelled = Outcome.objects.filter(decision=OuterRef("pk"))
    scored = Decision.objects.filter(score__isnull=False, model=case.model, at__gte=_since(case), repetition=None)
    rows = scored.filter(Exists(labelled))
    return rows.order_by()[:needed].count(), needed


def _since(case: Case) -> datetime:
    """Return when the window began that raised the alert: from then on the population is another one."""
    return case.alert.run.window_start if case.alert.run else case.opened_at


def retrain_next(now: datetime) -> Case | None:
    """Retrain the oldest open case that has enough labels and that nobody else is at; return it."""
    for case in Case.objects.filter(result=None).select_related("model", "alert__run").order_by("opened_at"):
        have, needed = labels(case)
        if have < needed:
            continue
        with locks.alone(f"case:{case.pk}") as mine:
            if mine and not CaseResult.objects.filter(case=case).exists():
                _retrain(case, now)
                return case
    return None


def _retrain(case: Case, now: datetime) -> None:
    """Train in a process without credentials, register what it made; a failure ends the case with its reason."""
    trainer = User.objects.get(username=TRAINER)
    source = f"case:{case.id}"
    version = ModelVersion.objects.filter(model=case.model, lineage__source=source).first()
    detail = f"{version} was registered before the trainer was interrupted."
    try:
        if version is None:
            version, detail = _train(case, trainer, now)
    except (Refusal, subprocess.TimeoutExpired) as error:
        detail = f"{str(error)[-500:]} {_ANSWER}"
    except Exception as error:  # noqa: BLE001 - one case that cannot be trained must not stop all the others
        log.exception("case %s of %s broke", case.id, case.model)
        detail = f"The retraining broke: {type(error).__name__}. See the log of the train worker. {_ANSWER}"
    with transaction.atomic():
        CaseResult.objects.create(case=case, version=version, detail=detail, ended_at=now)
        facts = {
            "case": str(case.id),
            "version": version.digest if version else None,
            "detail": sha256(detail.encode()),
        }
        subject = f"model:{case.model_id}"
        ledger.append(Event.CASE_ENDED, subject=subject, actor=trainer.actor, at=now, facts=facts)


def _train(case: Case, trainer: User, now: datetime) -> tuple[ModelVersion, str]:
    parent = case.alert.deployment.package.version
    with tempfile.TemporaryDirectory() as folder:
        spec = _specify(case, parent, Path(folder))
        _run(Path(folder))
        version = _register(case, parent, spec, Path(folder), trainer, now)
    return (
        version,
        f"{version} registered, taught by {spec['rows']} labelled decisions; it waits for its checks like any other.",
    )


def _specify(case: Case, parent: ModelVersion, folder: Path) -> dict[str, Any]:
    """Write the training data and what to do with them; return the specification."""
    protected = parent.training.named("protected") if parent.training else []
    table = _labelled(case.model, parent, protected)
    (folder / "data.parquet").write_bytes(datasets.parquet(table))
    before = _training_rows(parent, protected)
    if before is not None:
        (folder / "before.parquet").write_bytes(datasets.parquet(before))
    spec = {
        "data": str(folder / "data.parquet"),
        "output": str(folder),
        "schema": parent.schema,
        "label": LABEL,
        "time": TIME,
        "keep": protected,
        "before": str(folder / "before.parquet") if before is not None else None,
        "since": _since(case).isoformat(),
        "rows": table.num_rows,
    }
    (folder / "spec.json").write_text(json.dumps(spec))
    return spec


def _labelled(model: RegisteredModel, parent: ModelVersion, protected: list[str]) -> pa.Table:
    """Return the newest labelled decisions of a model as rows: features, protected attributes, label, moment.

    Fallbacks are left out: what became of a payment that every one of them blocked says nothing about the others.
    """
    scored = Outcome.objects.filter(decision__model=model, decision__score__isnull=False)
    outcomes = scored.select_related("decision")
    # Identifiers sort by time. The last word about a decision is the outcome observed last.
    newest = outcomes.order_by("-decision_id", "-observed_at").distinct("decision_id")[:MOST_ROWS]
    names = [column["name"] for column in parent.schema]
    rows: dict[str, list[Any]] = {name: [] for name in [*names, *protected, LABEL, TIME]}
    for outcome in newest.only("label", "decision__inputs", "decision__at").iterator():
        sent = orjson.loads(bytes(outcome.decision.inputs))
        for name in names:
            rows[name].append(sent["features"].get(name))
        for name in protected:
            rows[name].append(sent["attributes"].get(name))
        rows[LABEL].append(outcome.label)
        rows[TIME].append(outcome.decision.at)
    return pa.table(rows)


def _training_rows(parent: ModelVersion, protected: list[str]) -> pa.Table | None:
    """Return the rows the parent was trained on in the same form, or None when it brought none."""
    if parent.training is None:
        return None
    table = datasets.read(parent.training)
    names = [column["name"] for column in parent.schema]
    columns = {name: table[name] for name in [*names, *protected]}
    columns[LABEL] = pc.cast(table[parent.training.named("label")[0]], pa.int64())
    moment = pa.timestamp("us", "UTC")
    times = parent.training.named("time")
    known = pc.cast(table[times[0]], moment, safe=False) if times else None
    columns[TIME] = known or pa.array([parent.registered_at] * table.num_rows, moment)
    return pa.table(columns)


def _run(folder: Path) -> None:
    """Run the trainer with nothing of this process's environment but where its libraries are."""
    kept = {name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH", "LANG") if name in os.environ}
    quiet = {
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "DO_NOT_TRACK": "true",
        "OMP_NUM_THREADS": "1",
        "HOME": str(folder),
    }
    done = subprocess.run(
        [sys.executable, "-m", "governance.training", str(folder / "spec.json")],
        env={**kept, **quiet},
        cwd=Path(__file__).resolve().parent.parent,
        timeout=SECONDS,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        last = done.stderr.strip().splitlines()[-1:] or ["no message"]
        raise Unavailable(f"The training failed: {last[0][:500]}")


def _register(
    case: Case, parent: ModelVersion, spec: dict[str, Any], folder: Path, trainer: User, now: datetime
) -> ModelVersion:
    result = json.loads((folder / "result.json").read_text())
    model = folder / "model"
    files = {str(path.relative_to(model)): path.read_bytes() for path in model.rglob("*") if path.is_file()}
    return versions.register(
        model=case.model,
        files=files,
        by=trainer,
        now=now,
        lineage={"source": f"case:{case.id}", "parent": parent.digest, "parameters": result["parameters"]},
        metrics={name: value for name, value in result["metrics"].items() if value == value},
        data=_data(spec, folder, f"{case.model} case {str(case.id)[:8]}", trainer, now),
        description=f"Retrained for: {case.cause}"[:500],
    )


def _data(spec: dict[str, Any], folder: Path, name: str, by: User, now: datetime) -> dict[str, Dataset]:
    features = [{**column, "role": "feature"} for column in spec["schema"]]
    labelled = [
        *features,
        {"name": LABEL, "role": "label"},
        {"name": TIME, "role": "time"},
        *({"name": attribute, "role": "protected"} for attribute in spec["keep"]),
    ]
    scored = [*features, {"name": SCORE, "role": "score"}]
    found = {
        role: datasets.register(
            data=(folder / f"{role}.parquet").read_bytes(),
            name=f"{name} {role}",
            columns=columns,
            by=by,
            now=now,
        )
        for role, columns in (
            ("training", labelled),
            ("reference", labelled),
            ("holdout", labelled),
            ("golden", scored),
        )
    }
    return found
