"""DECIDES: roles, approvals, rollouts, retraining, the dossier; also the project package. May import every app."""

from governance.celery import app as celery_app

__all__ = ["celery_app"]
