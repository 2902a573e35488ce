"""What in a model's files could run code or swell without end, told without loading anything. Pure of Django.

A pickle is taken apart by picklescan, never executed. `dangerous`: it would import what runs commands or opens files;
`code`: it carries functions of its own (cloudpickle), or the model names a loader, code folder or lambda layer, which
may do anything; `bombs`: archives that unpack to far more than they are.
"""

import logging
import zipfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import yaml
from picklescan import scanner

SCANNER = f"picklescan {version('picklescan')}"
MOST_UNPACKED = 2 * 1024**3  # bytes
MOST_RATIO = 200  # bytes unpacked for one packed; deflate reaches 1,032
_PICKLES = (".pkl", ".pickle", ".joblib", ".dill", ".cloudpickle", ".pt", ".pth", ".ckpt", ".bin", ".npy", ".npz", ".p")
_ANYTHING = (".bin",)  # of these, what may hold any bytes: a pickle or an archive only if it begins as one
_KERAS = (".keras", ".h5", ".hdf5", ".pb")
_LAMBDA = (b'"class_name": "Lambda"', b'"class_name":"Lambda"')
_LISTED, _LONGEST = 20, 160  # findings of a kind, and characters of each, that are told
logging.getLogger("picklescan").setLevel(logging.CRITICAL)


@dataclass(frozen=True)
class Scan:
    """What was found, each finding a sentence that names the file."""

    scanner: str
    pickles: list[str]
    dangerous: list[str]
    code: list[str]
    bombs: list[str]

    def dump(self) -> dict[str, Any]:
        """Return the JSON form, no longer than a reader takes in, and a pipe at once."""
        lists = {name: found for name, found in asdict(self).items() if isinstance(found, list)}
        short = {name: [text[:_LONGEST] for text in found[:_LISTED]] for name, found in lists.items()}
        return {"scanner": self.scanner, **short}


def scan(folder: Path) -> Scan:
    """Scan the files of a model in a folder."""
    document = _document(folder)
    named = _named(document)
    pickles: list[str] = []
    dangerous: list[str] = []
    code, bombs = list(_own_code(document, folder)), []
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        path = str(file.relative_to(folder))
        bomb = _bomb(file)
        if bomb:
            bombs.append(f"{path} {bomb}")
            continue
        if file.suffix in _KERAS and _has_lambda(file):
            code.append(f"{path} has a Lambda layer, which holds code")
        if path in named or _may_be_pickle(file):
            sure = path in named or file.suffix not in _ANYTHING or _binary(file) or zipfile.is_zipfile(file)
            _take_apart(file, path, sure, pickles, dangerous, code)
    return Scan(SCANNER, pickles, dangerous, code, bombs)


def _take_apart(file: Path, path: str, sure: bool, pickles: list[str], dangerous: list[str], code: list[str]) -> None:
    """Tell what a pickle imports. `sure`: it must be one that can be taken apart; else it may be any bytes."""
    try:
        result = scanner.scan_file_path(str(file))
    except Exception:  # noqa: BLE001 - picklescan raises whatever it stumbles over
        if sure:
            pickles.append(path)
            dangerous.append(f"{path} is a pickle that cannot be taken apart")
        return
    if result.globals or _binary(file):
        pickles.append(path)
    if result.scan_err and path in pickles:
        dangerous.append(f"{path} is a pickle that cannot be taken apart")
    for item in sorted(result.globals, key=lambda item: (item.module, item.name)):
        if item.safety is not scanner.SafetyLevel.Dangerous:
            continue
        own = item.module.partition(".")[0] == "cloudpickle"
        (code if own else dangerous).append(f"{path} imports {item.module}.{item.name}"[:200])


def _may_be_pickle(file: Path) -> bool:
    return file.suffix in _PICKLES or _binary(file) or zipfile.is_zipfile(file)


def _binary(file: Path) -> bool:
    with file.open("rb") as opened:
        head = opened.read(2)
    return len(head) == 2 and head[0] == 0x80 and 2 <= head[1] <= 5


def _bomb(file: Path) -> str:
    if not zipfile.is_zipfile(file):
        return ""
    try:
        with zipfile.ZipFile(file) as archive:
            unpacked = sum(item.file_size for item in archive.infolist())
    except (zipfile.BadZipFile, ValueError, NotImplementedError, UnicodeDecodeError):
        return "is an archive that cannot be read"
    if unpacked > MOST_UNPACKED or unpacked > MOST_RATIO * max(file.stat().st_size, 10_000):
        return f"unpacks to {unpacked:,} bytes"
    return ""


def _has_lambda(file: Path) -> bool:
    if zipfile.is_zipfile(file):
        with zipfile.ZipFile(file) as archive:
            return any(_spells(archive.read(name)) for name in archive.namelist() if name.endswith(".json"))
    return _spells(file.read_bytes())


def _spells(data: bytes) -> bool:
    return any(word in data for word in _LAMBDA)


def _document(folder: Path) -> dict[str, Any]:
    document = yaml.safe_load((folder / "MLmodel").read_bytes())
    return document if isinstance(document, dict) else {}


def _flavours(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    found = document.get("flavors")
    return {k: v for k, v in found.items() if isinstance(v, dict)} if isinstance(found, dict) else {}


def _named(document: dict[str, Any]) -> set[str]:
    """Return every text that a flavour says: the names of what it would load are among them."""
    flavours = _flavours(document).values()
    texts = {value for flavour in flavours for value in flavour.values() if isinstance(value, str)}
    return texts - {"MLmodel"} - {text for text in texts if text.endswith((".txt", ".yaml", ".lgb", ".ubj", ".skops"))}


def _own_code(document: dict[str, Any], folder: Path) -> Iterator[str]:
    pyfunc = _flavours(document).get("python_function", {})
    loader = str(pyfunc.get("loader_module") or "mlflow")[:100]
    if loader.partition(".")[0] != "mlflow":
        yield f"MLmodel names the loader {loader}, which is not MLflow's"
    for name in ("code", "code_path", "model_code_path", "python_model"):
        if any(flavour.get(name) for flavour in _flavours(document).values()):
            yield f"MLmodel names code of its own ({name})"
    if (folder / "code").is_dir():
        yield "there is a folder of code, which MLflow puts on the path"
