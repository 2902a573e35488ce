"""`check --local`: measure a folder in a process of its own, which has neither our token nor a database."""

import json
import os
import secrets
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import click
import yaml

from governance.cli import folders, output
from governance.cli.ends import DEBUG, FAULT, Failure, Misused, Refused
from governance.cli.server import Server, version_path

_INHERITED = ("PATH", "HOME", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "PYTHONPATH", "TMPDIR", "TZ", "OMP_NUM_THREADS")


def gate(given: dict[str, Any]) -> dict[str, Any]:
    """Return the gate of the folder that the command line names, as the server would judge it."""
    folder = folders.read(given["local"])
    if not given["holdout"] or not given["label"]:
        raise click.UsageError(
            "--local needs --holdout FILE (labelled rows the model has not seen) and --label COLUMN."
        )
    name = given["model"] or folder.path.resolve().name
    policy = _from_file(given["policy"]) if given["policy"] else _from_server(name, given["tier"])
    asked = {
        "folder": str(folder.path.resolve()),
        "model": name,
        "rules": policy["rules"],
        "data": {role: str(path.resolve()) for role in ("holdout", "reference", "golden") if (path := given[role])},
        "label": given["label"],
        "protected": list(given["protected"]),
    }
    found = _measured(asked)
    told = {key: policy.get(key) for key in ("tier", "number", "digest")}
    return {
        "model": name,
        "version": None,
        "digest": None,
        "unservable": found.pop("unservable"),
        "policy": told,
        **found,
    }


def _from_file(path: Path) -> dict[str, Any]:
    try:
        found = yaml.safe_load(path.read_text())
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise Misused(f"{path} cannot be read: {str(error).splitlines()[0]}") from error
    if isinstance(found, dict) and isinstance(found.get("rules", found).get("checks"), dict):
        return found if "rules" in found else {"rules": found}
    raise Misused(f"{path} holds no policy: an object with `checks`, as /api/v1/policies/1 answers it.")


def _from_server(name: str, tier: int | None) -> dict[str, Any]:
    server = Server()
    if tier is None:
        try:
            tier = server.ask("GET", version_path(name))["tier"]
        except Refused as unknown:
            if unknown.status != 404:
                raise
            raise Misused(
                f"No model named {name} is registered, so its tier is not known. Give --tier, or --model."
            ) from unknown
    found: dict[str, Any] = server.ask("GET", f"/api/v1/policies/{tier}")
    return found


def _measured(asked: dict[str, Any]) -> dict[str, Any]:
    """Let the child measure; it tells each check as it is done, and the whole at the end."""
    with tempfile.TemporaryDirectory(prefix="countersign-") as place:
        spec, errors = Path(place) / "spec.json", Path(place) / "errors"
        spec.write_text(json.dumps(asked))
        with errors.open("w") as stderr:
            told: Any = None if os.environ.get(DEBUG) else stderr
            argv = [sys.executable, "-m", "django", "rehearse_gate", str(spec)]
            child = subprocess.Popen(argv, env=_environment(place), stdout=subprocess.PIPE, stderr=told, text=True)
            answer = _followed(child, len(asked["rules"]["checks"]))
        if child.wait() or answer is None:
            raise _broken((errors.read_text().strip().splitlines() or ["it says nothing"])[-1])
    if answer["verdict"] == "error":
        output.note(f"A check broke; set {DEBUG}=1 to see where.")
    return answer


def _followed(child: subprocess.Popen[str], checks: int) -> dict[str, Any] | None:
    answer, done = None, 0
    assert child.stdout is not None  # noqa: S101 - it is a pipe
    try:
        for line in child.stdout:
            said = json.loads(line)
            if "checks" in said:
                answer = said
            else:
                done += 1
                output.note(f"[{done}/{checks}] {said['check']}: {said['verdict']}")
    finally:
        if answer is None:
            child.kill()
    return answer


def _environment(place: str) -> dict[str, str]:
    """Return what the settings ask for, as throw-away values: there is no platform around this, and no credential."""
    kept = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    return {
        "OMP_NUM_THREADS": "1",
        **kept,
        "DJANGO_SETTINGS_MODULE": "governance.settings",
        "SECRET_KEY": secrets.token_hex(),
        "DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none",
        "COUNTERSIGN_HOME": place,
        "LOG_LEVEL": "ERROR",
        "DO_NOT_TRACK": "true",
    }


def _broken(said: str) -> Failure:
    """Return what the child's last words mean: what it refused, or a fault."""
    refused = said.removeprefix("CommandError: ")
    if refused != said:
        return Misused(refused)
    failure = Failure(f"It could not be measured here: {said}. What measures is installed as countersign[worker].")
    failure.code = FAULT
    return failure
