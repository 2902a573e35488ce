"""Django's name for this app."""

from django.apps import AppConfig


class RegistryConfig(AppConfig):
    """Configuration of the registry app."""

    name = "registry"
