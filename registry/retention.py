"""How long a data set is to be kept: a class that the policies name, given by a person, with its history."""

from datetime import datetime, timedelta

from django.db import transaction

from registry import canonical, ledger
from registry.ledger import Event
from registry.models import Dataset, DatasetRetention, Policy, User
from registry.refusals import Conflict, Invalid

_LONGEST = 2000  # characters of a reason


def classes() -> dict[str, int]:
    """Return the classes of the policies in force: name → days; where tiers differ, the longer time counts."""
    found: dict[str, int] = {}
    for policy in Policy.objects.order_by("tier", "-number").distinct("tier"):
        for name, days in policy.rules.get("retention_classes", {}).items():
            found[name] = max(days, found.get(name, 0))
    return found


def assign(*, dataset: Dataset, name: str, reason: str, by: User, now: datetime) -> DatasetRetention:
    """Give a data set a class from now on; nothing is deleted by it."""
    known = classes()
    if name not in known:
        raise Invalid(
            f"There is no retention class {name[:60]!r}. The policies in force know: {', '.join(known) or 'none'}; "
            "`retention_classes` of a policy names them."
        )
    if len(reason) > _LONGEST or "\0" in reason:
        raise Invalid(f"A reason has at most {_LONGEST} characters. Shorten it.")
    current = of(dataset)
    if current and current.name == name:
        raise Conflict(f"{dataset.name} is in the class {name} already. Nothing was changed.")
    with transaction.atomic():
        made = DatasetRetention.objects.create(dataset=dataset, name=name, reason=reason, set_by=by, set_at=now)
        facts = {"retention": str(made.id), "dataset": dataset.digest, "class": name}
        facts["reason"] = canonical.sha256(reason.encode())
        subject = f"dataset:{dataset.digest}"
        ledger.append(Event.RETENTION_ASSIGNED, subject=subject, actor=by.actor, at=now, facts=facts)
    return made


def of(dataset: Dataset) -> DatasetRetention | None:
    """Return the class in force with who gave it and when; None: it never got one."""
    return DatasetRetention.objects.filter(dataset=dataset).select_related("set_by").order_by("-set_at", "-id").first()


def until(dataset: Dataset, given: DatasetRetention | None) -> datetime | None:
    """Return until when a data set is to be kept at least; None where no policy in force says."""
    days = classes().get(given.name) if given else None
    return dataset.registered_at + timedelta(days=days) if days else None
