"""Where the server's address and the token come from: the environment first, else what `login` stored.

A stored token belongs to the address it was stored with and is sent to no other.
"""

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import platformdirs

from governance.cli.ends import Misused

URL, TOKENS = "COUNTERSIGN_URL", ("COUNTERSIGN_TOKEN", "MLFLOW_TRACKING_TOKEN")


@dataclass(frozen=True)
class Account:
    """A server and the token that is shown to it; the token is in no text made of this."""

    url: str
    token: str = field(repr=False)


def file() -> Path:
    """Return the file in which `login` keeps address and token."""
    return Path(platformdirs.user_config_dir("countersign")) / "credentials.json"


def find() -> Account:
    """Return whom to talk to and as whom; Misused says what is missing."""
    stored = _stored()
    url = address(os.environ.get(URL) or stored.get("url", ""))
    token = from_environment() or (stored.get("token", "") if stored.get("url") == url else "")
    if not token:
        raise Misused(f"There is no token for {url}. Sign in with `countersign login {url}`, or set {TOKENS[0]}.")
    return account(url, token)


def account(url: str, token: str) -> Account:
    """Return an account; Misused when that is no token: a header could not carry it, and an error would show it."""
    if not token or not token.isascii() or not token.isprintable() or " " in token:
        raise Misused("That is no token. Issue one with `manage.py issue_token`; it begins with csn_.")
    return Account(url, token)


def from_environment() -> str:
    """Return the token that the environment names; nothing when it names none."""
    return next((found for name in TOKENS if (found := os.environ.get(name, "").strip())), "")


def address(text: str) -> str:
    """Return a server's address without what follows its path; Misused when it is none."""
    url = urlsplit(text)
    if not text:
        raise Misused(f"No server is known. Sign in with `countersign login URL`, or set {URL}.")
    if url.scheme not in ("http", "https") or not url.hostname or url.username or url.query or url.fragment:
        raise Misused(f"{text[:200]!r} is not the address of a server. Write https://host or http://127.0.0.1:port.")
    return text.rstrip("/")


def store(account: Account) -> Path:
    """Keep address and token in a file that only its owner reads, whole or not at all."""
    path = file()
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_suffix(".draft")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as opened:
        json.dump({"url": account.url, "token": account.token}, opened)
    draft.replace(path)
    return path


def _stored() -> dict[str, str]:
    try:
        found = json.loads(file().read_text())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise Misused(
            f"{file()} cannot be read ({type(error).__name__}). Sign in again: `countersign login`."
        ) from error
    return {key: str(value) for key, value in found.items()} if isinstance(found, dict) else {}
