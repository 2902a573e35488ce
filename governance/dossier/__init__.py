"""The dossier: everything about one decision or version in one archive that verifies without us."""
