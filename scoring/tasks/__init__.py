"""Doorbells of scoring."""
