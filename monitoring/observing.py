"""How models do in production, at a glance: what serves, the newest run of each monitor, the alerts nobody answered."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from monitoring import alerts, gate
from monitoring.models import MonitorRun
from registry.models import RegisteredModel
from scoring import deployments

MOST_ALERTS = 200
_ABOUT = [f"{cause}__deployment__package__version" for cause in ("run", "refused")]


def of(models: Sequence[RegisteredModel]) -> list[dict[str, Any]]:
    """Return the observations of each model; a fixed handful of queries however many they are."""
    serving = {row.model_id: row for row in deployments.champions().filter(model__in=models)}
    newest = MonitorRun.objects.filter(deployment__in=serving.values(), decisions__gt=0).defer("evidence")
    looked = newest.select_related("deployment__package__policy").order_by("deployment_id", "monitor", "-id")
    monitors, open_alerts = defaultdict(list), defaultdict(list)
    for run in looked.distinct("deployment_id", "monitor"):
        monitors[run.deployment.model_id].append(_run(run))
    unanswered = alerts.open_alerts().filter(model__in=models).select_related(*_ABOUT).defer("run__evidence")
    for alert in unanswered[:MOST_ALERTS]:
        about = alert.deployment.package.version.number
        told = {"alert": alert.id, "kind": alert.kind, "detail": alert.detail, "raised_at": alert.raised_at}
        open_alerts[alert.model_id].append({**told, "about": about})
    return [
        {
            "model": model.name,
            "serving": serving[model.id].package.version.number if model.id in serving else None,
            "monitors": monitors[model.id],
            "alerts": open_alerts[model.id],
        }
        for model in models
    ]


def _run(run: MonitorRun) -> dict[str, Any]:
    limits = run.deployment.package.policy.rules.get("monitors", {}).get(run.monitor, {}).get("limits", {})
    return {
        "monitor": run.monitor,
        "run": run.id,
        "verdict": run.verdict,
        "decisions": run.decisions,
        "window_start": run.window_start,
        "window_end": run.window_end,
        "reasons": run.reasons,
        "lines": gate.lines(["monitors", run.monitor, "limits"], limits, run.measurements),
    }
