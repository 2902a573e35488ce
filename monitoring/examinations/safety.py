"""Whether the candidate's files hold anything that could run code or swell: scanned anew, never loaded."""

from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from monitoring.candidates import Candidate
from monitoring.checks import safety
from monitoring.measurement import Measured
from registry import artifacts
from registry.refusals import Invalid
from scoring import trials


def measure(candidate: Candidate, rules: Mapping[str, Any]) -> Measured:
    """Measure the stored files, whatever the intake found: they may have come by another door."""
    files = candidate.version.artifact
    with TemporaryDirectory(prefix="safety-") as folder:
        for path, entry in files.items():
            artifacts.copy(entry["sha256"], Path(folder, path))
        found = trials.examine(Path(folder), "", "", 0)
    if "died" in found:
        raise Invalid(f"The process that scanned the files died {found['died']}: what they hold is not known.")
    return safety.measure(found["scan"], len(files))
