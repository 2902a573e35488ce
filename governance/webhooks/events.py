"""The names of what webhooks tell, and the entries of the governance log that each of them comes from.

MLflow's names are those of its webhook API. Ours are the log's own, after `countersign.`.
"""

from governance.events import Event as Governance
from monitoring.events import Event as Monitoring
from registry.ledger import Event as Registry
from registry.refusals import Invalid
from scoring.events import Event as Scoring

PREFIX = "countersign."
_OURS = (
    *(
        Registry.MODEL_REGISTERED,
        Registry.VERSION_REQUESTED,
        Registry.VERSION_REGISTERED,
        Registry.REGISTRATION_REFUSED,
    ),
    *(Monitoring.CHECK_PERFORMED, Monitoring.ALERT_RAISED, Monitoring.ALERT_ANSWERED),
    *(Governance.APPROVAL_REQUESTED, Governance.APPROVAL_SIGNED, Governance.APPROVAL_REFUSED),
    *(Governance.DEPLOYMENT_ORDERED, Governance.ORDER_REFUSED, Scoring.DEPLOYMENT_MADE, Scoring.DEPLOYMENT_REFUSED),
    *(Governance.CASE_OPENED, Governance.CASE_ENDED, Governance.DOSSIER_ISSUED),
)
MLFLOW: dict[str, tuple[str, ...]] = {
    "registered_model.created": (Registry.MODEL_REGISTERED,),
    "model_version.created": (Registry.VERSION_REQUESTED, Registry.VERSION_REGISTERED),  # whichever came first
    "model_version_tag.set": (Registry.MODEL_TAGGED,),
    "model_version_tag.deleted": (Registry.MODEL_TAGGED,),
    "model_version_alias.created": (Registry.MODEL_ALIASED,),
    "model_version_alias.deleted": (Registry.MODEL_ALIASED,),
}
OURS: dict[str, tuple[str, ...]] = {PREFIX + event: (event,) for event in _OURS}
# After which the gate of a version may stand elsewhere.
GATE = tuple(
    PREFIX + event
    for event in (
        *(Registry.VERSION_REGISTERED, Monitoring.CHECK_PERFORMED),
        *(Governance.APPROVAL_REQUESTED, Governance.APPROVAL_SIGNED, Governance.APPROVAL_REFUSED),
        Scoring.DEPLOYMENT_MADE,
    )
)
# Of MLflow's events these never happen here, for there are no prompts and no budgets; a client may ask for them.
NEVER = {
    *("prompt.created", "prompt_version.created", "prompt_tag.set", "prompt_tag.deleted"),
    *("prompt_version_tag.set", "prompt_version_tag.deleted", "prompt_alias.created", "prompt_alias.deleted"),
    "budget_policy.exceeded",
}
NAMES = {**MLFLOW, **OURS}


def named(names: list[str]) -> list[str]:
    """Return the names of events, each once; Invalid for none, or one that is not known."""
    unknown = [name for name in names if name not in NAMES and name not in NEVER]
    if unknown or not names:
        what = f"There is no event {', '.join(unknown)[:200]}." if unknown else "A webhook needs an event at least."
        raise Invalid(f"{what} Choose from {', '.join(NAMES)}.")
    return list(dict.fromkeys(names))


def of_entry(event: str) -> list[str]:
    """Return the names under which an entry with this event may be told."""
    return [name for name, entered in NAMES.items() if event in entered]


def for_mlflow(name: str) -> bool:
    """Say whether MLflow's client knows the name."""
    return name in MLFLOW or name in NEVER
