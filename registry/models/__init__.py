"""The tables of the registry, one module per subject."""

from registry.models.catalogue import (
    Alias,
    Dataset,
    IntakeAttempt,
    IntakeFile,
    ModelVersion,
    Package,
    Policy,
    RegisteredModel,
    Registration,
    RegistrationRefusal,
    Tag,
)
from registry.models.ledger import (
    Breach,
    BreachAnswer,
    Checkpoint,
    Cosignature,
    Epoch,
    Leaf,
    LedgerEntry,
    Tile,
    Tree,
)
from registry.models.people import ServiceToken, TokenRevocation, User, WrongPassword

__all__ = [
    "Alias",
    "Breach",
    "BreachAnswer",
    "Checkpoint",
    "Cosignature",
    "Dataset",
    "Epoch",
    "Leaf",
    "IntakeAttempt",
    "IntakeFile",
    "LedgerEntry",
    "ModelVersion",
    "Package",
    "Policy",
    "RegisteredModel",
    "Registration",
    "RegistrationRefusal",
    "ServiceToken",
    "Tag",
    "Tile",
    "TokenRevocation",
    "Tree",
    "User",
    "WrongPassword",
]
