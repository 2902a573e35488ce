"""The data folder: it holds all that the platform keeps, for its owner alone, one supervisor at a time."""

import fcntl
import os
import secrets
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
LAYOUT = "1"
_LONGEST_SOCKET = 107  # bytes that the kernel allows in the path of a Unix socket
_PATIENCE = 20.0  # seconds for the guardian of a killed supervisor to finish cleaning up


class CannotStart(Exception):
    """The platform cannot start; the message says what, why and what next."""


@dataclass(frozen=True)
class Home:
    """One data folder."""

    path: Path

    @classmethod
    def named(cls, path: Path | None = None) -> "Home":
        """Return the data folder of this path, of COUNTERSIGN_HOME, or of the project; nothing is made or looked at."""
        return cls(path or Path(os.environ.get("COUNTERSIGN_HOME") or PROJECT / ".countersign").absolute())

    @classmethod
    def open(cls, path: Path | None = None) -> "Home":
        """Return the data folder, made if missing; refuse one of another layout or owner."""
        home = cls.named(path)
        try:
            home.folder()
            home._check_layout()
        except OSError as error:
            raise CannotStart(
                f"The data folder {home.path} cannot be used: {error.strerror} ({error.filename}). "
                "It may belong to another user, or be no folder. Set COUNTERSIGN_HOME to a folder of your own."
            ) from error
        return home

    def folder(self, *names: str) -> Path:
        """Return a folder inside, made if missing; nobody else may look into it."""
        path = self.path.joinpath(*names)
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.chmod(0o700)
        return path

    def secret_file(self, name: str) -> Path:
        """Return the file of a random secret, made once."""
        path = self.folder("secrets") / name
        if not path.exists():
            write_whole(path, secrets.token_urlsafe(32))
        return path

    def secret(self, name: str) -> str:
        """Return a random secret, made once."""
        return self.secret_file(name).read_text()

    def sockets(self) -> Path:
        """Return a private folder for sockets, elsewhere if this one's path is too long for them."""
        here = self.path / "run"
        if _fits(here):
            return self.folder("run")
        note = self.path / "sockets"
        if note.exists() and _is_ours(Path(note.read_text())):
            return Path(note.read_text())
        elsewhere = Path(tempfile.mkdtemp(prefix="countersign-"))
        if not _fits(elsewhere):
            raise CannotStart(
                f"Neither {here} nor {elsewhere} leaves room for a socket: Unix allows {_LONGEST_SOCKET} "
                "bytes. Set COUNTERSIGN_HOME to a shorter path."
            )
        write_whole(note, str(elsewhere))
        return elsewhere

    def lock(self) -> int:
        """Return the descriptor of the lock that one supervisor holds; refuse while another lives."""
        lock = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        patience = time.monotonic() + _PATIENCE
        while not _locked(lock):
            holder = os.pread(lock, 20, 0).decode().strip()
            # A killed supervisor's guardian holds the lock until its processes are gone: wait for that.
            if _lives(holder) or time.monotonic() > patience:
                os.close(lock)
                raise CannotStart(
                    f"Another supervisor (process {holder or 'unknown'}) uses the data folder {self.path}. "
                    "Stop it, or set COUNTERSIGN_HOME to another folder."
                )
            time.sleep(0.05)
        os.ftruncate(lock, 0)
        os.pwrite(lock, str(os.getpid()).encode(), 0)
        return lock

    def in_use(self) -> bool:
        """Say whether a supervisor works on this folder now."""
        path = self.path / "lock"
        if not path.exists():
            return False
        lock = os.open(path, os.O_RDWR)
        try:
            return not _locked(lock)
        finally:
            os.close(lock)

    def _check_layout(self) -> None:
        version = self.path / "version"
        if not version.exists():
            write_whole(version, LAYOUT)
        found = version.read_text().strip()
        if found != LAYOUT:
            raise CannotStart(
                f"The data folder {self.path} has layout {found}; this code reads layout {LAYOUT}. "
                "Use the release that made it, or set COUNTERSIGN_HOME to a new folder."
            )


def write_whole(path: Path, text: str) -> None:
    """Write a private file that is whole or absent, even if killed half-way."""
    draft = path.with_name(f".{path.name}.draft")
    draft.unlink(missing_ok=True)
    with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


def _fits(folder: Path) -> bool:
    return len(os.fsencode(folder / ".s.PGSQL.5432")) <= _LONGEST_SOCKET


def _is_ours(folder: Path) -> bool:
    """A folder in a shared place is trusted only if nobody else could have put it there."""
    try:
        found = folder.lstat()
    except OSError:
        return False
    return found.st_uid == os.geteuid() and found.st_mode == 0o040700


def _locked(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _lives(pid: str) -> bool:
    """An unwritten pid is a supervisor that took the lock this instant."""
    if not pid.isdigit():
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return not _is_zombie(int(pid))


def _is_zombie(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return False
