"""What was measured and how it was judged, of candidates and of production. Rows are born complete and never change."""

from monitoring.models.checks import CheckAttempt, CheckResult, CheckRun
from monitoring.models.watch import Alert, Disposition, MonitorRun

__all__ = ["Alert", "CheckAttempt", "CheckResult", "CheckRun", "Disposition", "MonitorRun"]
