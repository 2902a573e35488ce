"""The tables of the registry, one module per subject."""

from registry.models.catalogue import Alias, Dataset, ModelVersion, Package, Policy, RegisteredModel, Tag
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
    "LedgerEntry",
    "ModelVersion",
    "Package",
    "Policy",
    "RegisteredModel",
    "ServiceToken",
    "Tag",
    "Tile",
    "TokenRevocation",
    "Tree",
    "User",
    "WrongPassword",
]
