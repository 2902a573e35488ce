"""HOLDS: people, models, versions, data sets, policies, packages, artifacts, the ledger. Imports no other app."""
