"""The trust policy that setup writes once (c2sp.org/tlog-policy): our logs, and the witness that we start ourselves.

It is the operator's from then on: setup changes nothing in it but where our own witness listens today.
"""

import re
from collections.abc import Mapping
from pathlib import Path

from registry import durable
from registry.tlog.vkeys import Verifier

OURS = "local"  # the name of the witness that we start ourselves
_HEAD = """\
# Whom to trust about these logs (c2sp.org/tlog-policy). Give this file to those who verify by another way than ours.
# A witness of one's own proves little: add those of other parties, and ask for them in the quorum.
"""


def ensure(path: Path, logs: Mapping[str, list[Verifier]], witness: tuple[Verifier, str] | None) -> None:
    """Write the policy unless it is there. `logs`: address → keys; `witness`: our own, and its address."""
    if not path.exists():
        lines = [f"log {key} {url}" for url, keys in logs.items() for key in keys]
        lines += [_line(*witness), f"quorum {OURS}"] if witness else ["quorum none"]
        durable.write(path, (_HEAD + "\n".join(lines) + "\n").encode())
    elif witness:
        text = path.read_text()
        moved = re.sub(
            rf"^witness {OURS} {re.escape(str(witness[0]))}( .*)?$", lambda _: _line(*witness), text, flags=re.M
        )
        if moved != text:
            durable.write(path, moved.encode())


def _line(key: Verifier, url: str) -> str:
    return f"witness {OURS} {key} {url}"
