"""Doorbells of governance, one module per kind of worker."""
