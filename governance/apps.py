"""Django's name for this app."""

from django.apps import AppConfig


class GovernanceConfig(AppConfig):
    """Configuration of the governance app."""

    name = "governance"
