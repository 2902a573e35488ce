"""What gunicorn serves: the pages and APIs, or with PROCESS=scoring the scoring path alone."""

import os
from importlib import import_module

from django.conf import settings
from django.core.wsgi import get_wsgi_application

from registry.api import chunks

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "governance.settings")
application = chunks.measured(get_wsgi_application())
if settings.PROCESS == "scoring":
    urls = import_module(settings.ROOT_URLCONF)
    urls.vigil.begin()  # what is served is loaded before anybody asks
    application = urls.shedding.Gate(import_module("scoring.straight").Straight(application))
