"""The commit that a model folder belongs to, as MLflow's tags of a run name it."""

import subprocess
from pathlib import Path


def tags(path: Path) -> dict[str, str]:
    """Return commit, branch and whether anything was changed since; nothing outside a repository or without git."""
    commit = _ask(path, "rev-parse", "HEAD")
    if not commit:
        return {}
    found = {
        "mlflow.source.git.commit": commit,
        "mlflow.source.git.branch": _ask(path, "rev-parse", "--abbrev-ref", "HEAD"),
        "mlflow.source.git.dirty": str(bool(_ask(path, "status", "--porcelain", "--untracked-files=no"))).lower(),
    }
    return {key: value for key, value in found.items() if value}


def _ask(path: Path, *words: str) -> str:
    try:
        done = subprocess.run(["git", "-C", path, *words], capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
