"""All attacks: to import this is to know each."""

from tests.attacks import ATTACKS, LIMITS, Attack, approvals, clock, database, dossier, ledger, published, warrants

MODULES = (database, clock, ledger, published, warrants, approvals, dossier)
GROUPS = [module.__name__.rpartition(".")[2] for module in MODULES]


def ordered() -> list[Attack]:
    """Return the attacks group by group; what is known to succeed comes last, since it may stay."""
    return sorted(ATTACKS, key=lambda attack: (attack.name in LIMITS, GROUPS.index(attack.group)))
