"""The tables of the registry, one module per subject."""

from registry.models.catalogue import Alias, Dataset, ModelVersion, Package, Policy, RegisteredModel, Tag
from registry.models.ledger import Checkpoint, Leaf, LedgerEntry, Tile, Tree
from registry.models.people import ServiceToken, TokenRevocation, User, WrongPassword

__all__ = [
    "Alias",
    "Checkpoint",
    "Dataset",
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
