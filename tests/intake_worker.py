"""An intake worker on a test's own database: performs what waits, then ends. It may be killed at any moment."""

import os

import django
from django.conf import settings
from django.utils import timezone

if __name__ == "__main__":
    settings.DATABASES["default"]["NAME"] = os.environ["INTAKE_DATABASE"]
    settings.STORAGES["artifacts"]["OPTIONS"]["location"] = os.environ["INTAKE_STORE"]
    django.setup()
    from registry import pinning  # only now are there models
    from scoring import trials

    while waiting := pinning.waiting(timezone.now()):
        for registration in waiting:
            pinning.perform(registration, now=timezone.now(), trial=trials.examine)
