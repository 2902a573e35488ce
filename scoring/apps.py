"""Django's name for this app."""

from django.apps import AppConfig


class ScoringConfig(AppConfig):
    """Configuration of the scoring app."""

    name = "scoring"
