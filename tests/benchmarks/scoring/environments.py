"""The peers' environments: each server is installed from wheels into a folder of its own, once, and kept."""

import json
import subprocess
import sys
from pathlib import Path

CACHE = Path(__file__).parent.parent / ".peers"  # git-ignored
_MODEL = ("lightgbm>=4.7,<5", "numpy>=2.2,<2.5")
WANTED = {
    "fastapi": ("fastapi", "uvicorn[standard]", "psycopg[binary]", *_MODEL),
    "mlflow": ("mlflow==3.17.2", *_MODEL),
    "mlserver": ("mlserver", "mlserver-lightgbm"),  # it says which lightgbm and numpy it works with
    "bentoml": ("bentoml", *_MODEL),
    "litserve": ("litserve", *_MODEL),
    "spy": ("py-spy",),  # looks into a running process for the profile (MIT)
}


def python(name: str) -> Path:
    """Return the interpreter of an environment, which is made first if it is not there yet."""
    folder = CACHE / name
    done = folder / ".installed"
    if not done.exists() or done.read_text().split() != list(WANTED[name]):
        print(f"installing {name} …", flush=True)
        uv, place = [Path(sys.executable).with_name("uv")], folder / "bin" / "python"
        subprocess.run([*uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(folder)], check=True)
        flags = ["--quiet", "--only-binary", ":all:", "--python", str(place)]
        subprocess.run([*uv, "pip", "install", *flags, *WANTED[name]], check=True)
        done.write_text("\n".join(WANTED[name]))
    return folder / "bin" / "python"


def versions(name: str) -> dict[str, str]:
    """Return what is installed there of the packages that were asked for."""
    code = "import importlib.metadata as m, sys, json; print(json.dumps({n: m.version(n) for n in sys.argv[1:]}))"
    names = [wanted.split("[")[0].split(">")[0].split("=")[0] for wanted in WANTED[name]]
    found = subprocess.run([python(name), "-c", code, *names], check=True, capture_output=True, text=True)
    return dict(json.loads(found.stdout))
