"""What gunicorn serves: the pages and APIs, or with PROCESS=scoring the scoring path alone."""

import os

from django.core.wsgi import get_wsgi_application

from registry.api import chunks

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "governance.settings")
application = chunks.measured(get_wsgi_application())
