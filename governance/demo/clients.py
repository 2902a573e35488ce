"""How the people and programs of the walk reach the platform: a token, or a browser's session."""

import os
import re
import time
from collections.abc import Callable
from typing import Any

import httpx

PATIENCE = 240  # seconds until something that should happen by itself counts as not happening


class Refused(RuntimeError):
    """The platform answered something else than the walk expected."""


def program(base: str, token: str) -> httpx.Client:
    """Return a client that carries a service token."""
    return httpx.Client(base_url=base, headers={"Authorization": f"Bearer {token}"}, timeout=120)


def browser(base: str, username: str, password: str) -> httpx.Client:
    """Return a client that has signed in on the page, as a person's browser does."""
    client = httpx.Client(base_url=base, timeout=120, headers={"Referer": f"{base}/"})
    page = client.get("/sign-in")
    token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page.text)
    if token is None:
        raise Refused("The sign-in page has no form.")
    sent = {"username": username, "password": password, "csrfmiddlewaretoken": token[1]}
    answer = client.post("/sign-in", data=sent)
    if answer.status_code != 302:
        raise Refused(f"{username} could not sign in ({answer.status_code}).")
    client.headers["X-CSRFToken"] = client.cookies["csrftoken"]
    return client


def ask(client: httpx.Client, method: str, path: str, **given: Any) -> Any:
    """Return the JSON answer; Refused carries the problem's own words."""
    answer = client.request(method, path, **given)
    if answer.status_code >= 400:
        raise Refused(f"{method} {path} → {answer.status_code}: {answer.text[:600]}")
    return answer.json()


def until(what: str, look: Callable[[], Any], patience: float = PATIENCE) -> Any:
    """Look every half second until something truthy is seen; Refused names what did not happen."""
    end = time.monotonic() + patience
    while time.monotonic() < end:
        found = look()
        if found:
            return found
        time.sleep(0.5)
    raise Refused(f"Within {patience:.0f} s this did not happen: {what}.")


def environment(name: str) -> str:
    """Return a variable that the platform's launcher sets."""
    value = os.environ.get(name)
    if not value:
        raise Refused(f"{name} is not set: run this by `make demo`.")
    return value
