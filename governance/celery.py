"""The Celery application. PROCESS says which tasks a worker imports; beat only nudges, every finder is a query."""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "governance.settings")

IMPORTS = {
    "worker": ["monitoring.tasks.nudges", "governance.tasks.nudges"],
    "intake": ["monitoring.tasks.intake"],
    "checks": ["monitoring.tasks.checks"],
    "drift": ["monitoring.tasks.drift"],
    "monitors": ["monitoring.tasks.monitors"],
    "explainer": ["scoring.tasks.explanations"],
    "train": ["governance.tasks.train"],
    "webhooks": ["governance.tasks.webhooks"],
    "governor": ["governance.tasks.governor"],
}


def _every(seconds: float, task: str, queue: str) -> dict[str, object]:
    """Nudge; a nudge that was not heard before the next one is forgotten."""
    return {"task": task, "schedule": seconds, "options": {"queue": queue, "expires": max(seconds, 5)}}


app = Celery("countersign")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.conf.imports = IMPORTS.get(os.environ.get("PROCESS", ""), [])
app.conf.beat_schedule = {
    "pin waiting": _every(2, "monitoring.tasks.intake.pin_waiting", "intake"),
    "scrub artifacts": _every(300, "monitoring.tasks.intake.scrub_artifacts", "intake"),
    "start missing checks": _every(2, "monitoring.tasks.nudges.start_missing_checks", "default"),
    "ring for waiting checks": _every(30, "monitoring.tasks.nudges.ring_for_waiting_checks", "default"),
    "raise alerts": _every(5, "monitoring.tasks.nudges.raise_alerts", "default"),
    "explain waiting": _every(1, "scoring.tasks.explanations.explain_waiting", "explanations"),
    "replay waiting": _every(1, "scoring.tasks.explanations.replay_waiting", "explanations"),
    "watch champions": _every(3, "monitoring.tasks.monitors.watch_champions", "monitors"),
    "open cases": _every(3, "governance.tasks.nudges.open_cases", "default"),
    "make partitions": _every(3600, "governance.tasks.nudges.make_partitions", "default"),
    "execute orders": _every(2, "governance.tasks.governor.execute_orders", "governor"),
    "follow the log": _every(1, "governance.tasks.webhooks.follow_the_log", "webhooks"),
    "retrain": _every(5, "governance.tasks.train.retrain_next", "train"),
}
