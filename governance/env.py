"""The environment, read in one place: every function fails with the remedy."""

import os
from collections.abc import Collection
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

from django.core.exceptions import ImproperlyConfigured


def required(name: str) -> str:
    """Return the variable's value; refuse to start without it."""
    value = os.environ.get(name)
    if not value:
        raise ImproperlyConfigured(f"{name} is not set. Set it (see .env.example), or start with `make run`.")
    return value


def text(name: str, default: str = "") -> str:
    """Return the variable's value, or the default."""
    return os.environ.get(name, default)


def flag(name: str, default: bool) -> bool:
    """Return a true-or-false variable."""
    value = os.environ.get(name, str(default))
    if value not in ("True", "False"):
        raise ImproperlyConfigured(f"{name}={value!r}: write True or False. See .env.example.")
    return value == "True"


def choice(name: str, choices: Collection[str], default: str) -> str:
    """Return a variable that must be one of a few words."""
    value = os.environ.get(name, default)
    if value not in choices:
        raise ImproperlyConfigured(f"{name}={value!r}: choose one of {', '.join(sorted(choices))}.")
    return value


def secret(name: str) -> str:
    """Return a secret from NAME_FILE (a path) or NAME."""
    path = os.environ.get(f"{name}_FILE")
    if path is None:
        return required(name)
    try:
        return Path(path).read_text().strip()
    except OSError as error:
        raise ImproperlyConfigured(f"{name}_FILE={path!r} cannot be read: {error.strerror}.") from error


def database(name: str, *, process: str, patience: int) -> dict[str, object]:
    """Return Django's settings of a `postgresql://user:password@host:port/name?option=value` URL.

    The server shows sessions under the name of their `process`, and ends statements of more than `patience` seconds
    (0: none). Options of the URL come last, and so win.
    """
    url = urlsplit(required(name))
    if url.scheme not in ("postgresql", "postgres") or len(url.path) < 2:
        raise ImproperlyConfigured(f"{name} must look like postgresql://user:password@host:5432/name.")
    options = {"application_name": f"countersign {process}"}
    options |= {key: values[-1] for key, values in parse_qs(url.query).items()}
    options["options"] = f"-c statement_timeout={patience}s {options.get('options', '')}".strip()
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": unquote(url.path[1:]),
        "USER": unquote(url.username or ""),
        "PASSWORD": unquote(url.password or ""),
        "HOST": options.pop("host", url.hostname or ""),
        "PORT": str(url.port or ""),
        "OPTIONS": options,
    }
