"""What a child is told: a short list of what the operator set, and what that process needs; no more."""

import json
import os
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from governance.platform import libgomp
from governance.platform.home import CannotStart, Home, write_whole
from governance.platform.probes import LOCAL

# Secrets and everything unforeseen in the operator's own environment stay there.
_INHERITED = (
    *("PATH", "LD_LIBRARY_PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "TZ"),
    *("DEBUG", "ALLOWED_HOSTS", "LOG_LEVEL", "LOG_ORIGIN", "ARTIFACTS", "PUBLISHED_LOG"),
    *("LOG_ANCHOR", "LOG_POLICY_FILE", "LOG_BACKLOG", "LOG_IS_PUBLIC"),
    *("FEATURES_URL", "FEATURES_TIMEOUT_MS", "FEATURES_FEAST"),
    *("WEBHOOK_ALLOWED_HOSTS", "SSL_CERT_FILE", "SSL_CERT_DIR"),
)
_STORES = ("web", "scoring", "checks", "drift", "monitors", "explainer", "train")  # who reads or writes artifacts
_COMMANDS = "commands.json"
_OWNERS = ("migrate", "setup_platform", "adopt_policy", "recover_log")  # commands that no server's role may do
_SCORERS = ("score_file",)  # commands that decide, as the scoring process does
_ALONE = ("log_tools", "verify_log", "witness")  # commands that read files and open no database


def inherited() -> dict[str, str]:
    """Return the part of our own environment that every child may see."""
    return {name: os.environ[name] for name in _INHERITED if name in os.environ}


def shared(home: Home) -> dict[str, str]:
    """Return what every Python process needs to work on this data folder."""
    told = {
        "COUNTERSIGN_HOME": str(home.path),
        "SECRET_KEY_FILE": str(home.secret_file("secret_key")),
        "NUMBA_CACHE_DIR": str(home.path / "machine-code"),  # of explanations, compiled once
    }
    if path := libgomp.library_path(home):
        told["LD_LIBRARY_PATH"] = ":".join(filter(None, (path, os.environ.get("LD_LIBRARY_PATH"))))
    return told


@dataclass(frozen=True)
class Surroundings:
    """What the processes of one platform have in common."""

    home: Home
    databases: Mapping[str, str]  # role → URL
    broker: str
    web_port: int
    scoring_port: int
    witness_port: int

    @property
    def tracking_socket(self) -> str:
        """Where the tracking server listens."""
        return str(self.home.sockets() / "tracking.sock")

    @property
    def tracking_artifacts(self) -> Path:
        """Where the tracking server keeps the files of runs."""
        return self.home.folder("tracking") / "artifacts"

    @property
    def _features(self) -> str:
        """The online store unless another is named: the embedded broker's other database."""
        path = urlsplit(self.broker).path
        return f"unix://{path}?db=1" if self.broker.startswith("redis+socket:") else ""

    def of(self, process: str, role: str | None, *, keys: Iterable[str] = ()) -> dict[str, str]:
        """Return the whole environment of a process: its own database role, its own private keys."""
        folder = self.home.path
        told = {
            "ARTIFACTS": str(folder / "artifacts"),
            "PUBLISHED_LOG": str(folder / "log-public"),
            "LOG_ANCHOR": str(folder / "log-anchor"),
            "LOG_POLICY_FILE": str(folder / "keys" / "log.policy"),
            "FEATURES_URL": self._features,
            **inherited(),
            **shared(self.home),
            "PROCESS": process,
            "BROKER_URL": self.broker,
            "LOG_VKEY_FILE": str(folder / "keys" / "log.vkey"),
            "WARRANT_VKEY_FILE": str(folder / "keys" / "warrant.vkey"),
            "WEBHOOK_PUBLIC_KEY_FILE": str(folder / "keys" / "webhook.public"),
            "TRACKING_SOCKET": self.tracking_socket,
            "PUBLIC_URL": f"http://{LOCAL}:{self.web_port}",
            "SCORING_URL": f"http://{LOCAL}:{self.scoring_port}",
            "DJANGO_SETTINGS_MODULE": "governance.settings",
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "DO_NOT_TRACK": "true",
            "PYTHONUNBUFFERED": "1",
            "OMP_NUM_THREADS": "1",
        }
        told |= {f"{key.upper()}_KEY_FILE": str(folder / "keys" / f"{key}.key") for key in keys}
        if told["ARTIFACTS"].startswith("s3://") and process in _STORES:
            told |= {name: value for name, value in os.environ.items() if name.startswith("AWS_")}
        if process in ("web", "intake"):
            told["TRACKING_ARTIFACTS"] = str(self.tracking_artifacts)
        if role:
            told["DATABASE_URL"] = self.databases[role]
        return told

    def remember(self) -> None:
        """Keep what `manage.py` needs to work on this platform while it runs."""
        told = {
            "app": self.of("setup", "app"),
            "scoring": self.of("scoring", "scoring"),
            "migrator": self.of("setup", "migrator", keys=("log", "warrant", "webhook")),
        }
        write_whole(self.home.folder("secrets") / _COMMANDS, json.dumps(told))


def of_files(words: Sequence[str]) -> dict[str, str]:
    """Return what the settings ask for, as throw-away values, if a management command works on files alone.

    An auditor runs such a command on a machine where nothing is prepared.
    """
    if words[:1] and words[0] in _ALONE:
        return {"SECRET_KEY": secrets.token_hex(), "DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none"}
    return {}


def of_command(words: Sequence[str]) -> dict[str, str]:
    """Return the environment of a management command on the platform that runs on our data folder."""
    home = Home.named()
    path = home.path / "secrets" / _COMMANDS
    if not path.exists() or not home.in_use():
        raise CannotStart(
            f"DATABASE_URL is not set, and no platform runs on the data folder {home.path}. Start one with `make run`, "
            "or set DATABASE_URL and what else .env.example names."
        )
    told: dict[str, dict[str, str]] = json.loads(path.read_text())
    roles = {**dict.fromkeys(_OWNERS, "migrator"), **dict.fromkeys(_SCORERS, "scoring")}
    return told[roles.get(words[0], "app") if words else "app"]
