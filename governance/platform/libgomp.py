"""LightGBM's wheel needs the system's libgomp, which slim images lack; scikit-learn's wheel carries one."""

import ctypes
import sys
import sysconfig
from pathlib import Path

from governance.platform.home import CannotStart, Home

_LIBRARY = "libgomp.so.1"


def library_path(home: Home) -> str | None:
    """Return the LD_LIBRARY_PATH that lets children load libgomp; None if they can anyway."""
    if not sys.platform.startswith("linux") or _loads():
        return None
    folder = home.folder("lib")
    link = folder / _LIBRARY
    carried = _carried()
    if not link.exists() or link.resolve() != carried.resolve():
        link.unlink(missing_ok=True)
        link.symlink_to(carried)
    return str(folder)


def _loads() -> bool:
    """Ask the loader itself: the answer is the one LightGBM will get."""
    try:
        ctypes.CDLL(_LIBRARY)
    except OSError:
        return False
    return True


def _carried() -> Path:
    wheel = Path(sysconfig.get_path("platlib")) / "scikit_learn.libs"
    for candidate in sorted(wheel.glob("libgomp-*.so*")):
        return candidate
    raise CannotStart(
        f"{_LIBRARY} is missing, and LightGBM needs it. Install it (Debian: apt-get install libgomp1), "
        "or install scikit-learn, whose wheel carries it."
    )
