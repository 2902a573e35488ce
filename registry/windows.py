"""The time window of a data set, in words: its first and last moment, as they were measured when it was registered."""

from collections.abc import Iterable

from registry.models import Dataset, DatasetStatistics


def told(datasets: Iterable[Dataset]) -> dict[str, str]:
    """Return the windows (UTC, to the minute) by digest, of those data sets where one time column tells; one query."""
    rows = DatasetStatistics.objects.filter(dataset__in=list(datasets)).order_by("computed_at")
    found = dict(rows.values_list("dataset__digest", "content__window"))
    return {
        digest: f"{_minute(window['from'])} to {_minute(window['to'])}" for digest, window in found.items() if window
    }


def _minute(moment: str | None) -> str:
    return moment[:16].replace("T", " ") if moment else "unknown"
