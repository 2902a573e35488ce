"""The tables of the registry, one module per subject."""

from registry.models.catalogue import (
    Alias,
    ArtifactCheck,
    Dataset,
    Description,
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
from registry.models.datasets import DatasetRetention, DatasetStatistics
from registry.models.describing import InventoryRecord, Prose
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
    "ArtifactCheck",
    "Breach",
    "BreachAnswer",
    "Checkpoint",
    "Cosignature",
    "Dataset",
    "DatasetRetention",
    "DatasetStatistics",
    "Description",
    "Epoch",
    "InventoryRecord",
    "Leaf",
    "IntakeAttempt",
    "IntakeFile",
    "LedgerEntry",
    "ModelVersion",
    "Package",
    "Policy",
    "Prose",
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
