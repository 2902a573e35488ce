"""Django's name for this app. Whatever sets Django up has the Celery application; the console script has neither."""

from django.apps import AppConfig

from governance.celery import app as celery_app

__all__ = ["GovernanceConfig", "celery_app"]


class GovernanceConfig(AppConfig):
    """Configuration of the governance app."""

    name = "governance"
