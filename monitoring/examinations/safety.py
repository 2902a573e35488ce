"""Whether the candidate's files hold anything that could run code or swell: scanned anew, never loaded."""

from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from monitoring.candidates import Candidate
from monitoring.checks import safety
from monitoring.measurement import Measured
from registry import artifacts
from registry.intake import scanning


def measure(candidate: Candidate, rules: Mapping[str, Any]) -> Measured:
    """Measure the stored files, whatever the intake found: they may have come by another door."""
    files = candidate.version.artifact
    with TemporaryDirectory(prefix="safety-") as folder:
        for path, entry in files.items():
            artifacts.copy(entry["sha256"], Path(folder, path))
        return safety.measure(scanning.scan(Path(folder)).dump(), len(files))
