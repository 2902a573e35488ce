"""What the stories of pages share."""

import pytest
from django.test import Client


@pytest.fixture
def browse(settings):
    """Return a function that opens a browser in which somebody is signed in."""

    def browser(person=None) -> Client:
        client = Client()
        if person:
            client.force_login(person)
        return client

    settings.STORAGES = {
        **settings.STORAGES,
        "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
    }
    return browser
