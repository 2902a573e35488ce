"""How the walk speaks, and how it has a dossier verified by an interpreter that knows nothing of this project."""

import io
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from governance.demo.clients import Refused

STEPS = 12


class Narrator:
    """Prints the steps as they happen."""

    def __init__(self, base: str) -> None:
        self.base = base
        self.number = 0

    @contextmanager
    def step(self, title: str) -> Iterator["Narrator"]:
        """Announce a step; name it if it fails."""
        self.number += 1
        started = time.monotonic()
        print(f"\n[{self.number:2}/{STEPS}] {title} …", flush=True)
        try:
            yield self
        except Exception as error:
            print(f"        FAILED at step {self.number}, {title}: {error}", file=sys.stderr, flush=True)
            raise
        print(f"        done in {time.monotonic() - started:.1f} s", flush=True)

    def say(self, text: str) -> None:
        """Print one line under the step."""
        print(f"        {text}", flush=True)

    def link(self, path: str) -> None:
        """Print where to look."""
        print(f"        → {self.base}{path}", flush=True)


def verify_offline(n: Narrator, data: bytes, policy: bytes, key: str, *, verifier: bytes, expect: int) -> None:
    """Run the dossier's own verify.py, without this project or any library; Refused unless it exits as expected."""
    with tempfile.TemporaryDirectory() as folder:
        script, file = Path(folder) / "verify.py", Path(folder) / "dossier.zip"
        script.write_bytes(zipfile.ZipFile(io.BytesIO(verifier)).read("verify.py"))
        file.write_bytes(data)
        trusted = Path(folder) / "log-policy"
        trusted.write_bytes(policy)
        pins = ["--policy", str(trusted), "--key", key]
        command = [sys.executable, "-I", "-S", str(script), str(file), *pins]
        done = subprocess.run(command, capture_output=True, text=True, env={}, cwd=folder, check=False)
    for line in done.stdout.splitlines():
        n.say(f"  {line}")
    if done.returncode != expect:
        raise Refused(f"the verifier ended with {done.returncode}, not {expect}: {done.stderr[-300:]}")
