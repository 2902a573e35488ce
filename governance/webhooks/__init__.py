"""Webhooks: who is told what the governance log says, and what became of each telling.

Subscriptions are rows and entries; deliveries follow the log, so nothing is told that is not on record and nothing on
record is forgotten. One process alone sends: it holds the key that opens the secrets, and is the only one that needs a
way out.
"""
