"""The console script starts fast: plain commands import neither the platform nor what measures."""

import subprocess
import sys

import pytest

from governance.cli.main import COMMANDS

HEAVY = ("django", "celery", "numpy", "pandas", "pyarrow", "sklearn", "mlflow")
ASK = "import sys, governance.cli.main, governance.cli.{}; print(*[name for name in {} if name in sys.modules])"


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_imports_nothing_heavy(name, tmp_path):
    found = subprocess.run(
        [sys.executable, "-c", ASK.format(name, HEAVY)], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert found.stdout.split() == []
