"""Who may describe a model: its owner, the author of a version about that version, and those who keep the inventory."""

from registry.models import ModelVersion, RegisteredModel, User
from registry.refusals import NotAllowed

DESCRIBE, KEEP = "registry.describe_model", "registry.keep_inventory"


def reason_against(by: User, model: RegisteredModel, version: ModelVersion | None = None) -> str:
    """Say why somebody may not describe a model or one of its versions; nothing when they may."""
    if by.has_perm(KEEP):
        return ""
    mine = by.pk == model.owner_id or (version is not None and by.pk == version.registered_by_id)
    if mine and by.has_perm(DESCRIBE):
        return ""
    who = "the author of the version, the owner of the model" if version else "the owner of the model"
    return f"This is described by {who}, or by who keeps the inventory ({KEEP}). Ask {model.owner.get_username()}."


def demand(by: User, model: RegisteredModel, version: ModelVersion | None = None) -> None:
    """Raise NotAllowed when somebody may not describe this."""
    if reason := reason_against(by, model, version):
        raise NotAllowed(reason)
