"""Ours without explanation and record, beside the platform: the same command and environment, other URLs."""

import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

from tests.benchmarks.scoring import ours, processes
from tests.benchmarks.scoring.forest import NAMES
from tests.benchmarks.scoring.ours import Ours
from tests.benchmarks.scoring.targets import Target
from tests.running import ROOT, free_port


def scores(answer: dict) -> list[float]:
    """Return the score of an answer that is a score alone."""
    if set(answer) != {"score"}:
        raise ValueError(f"This is a whole decision, not only a score: {sorted(answer)}")
    return [answer["score"]]


@contextmanager
def served(made: Ours) -> Iterator[Target]:
    """Run it with as many workers as the platform's scoring process has now."""
    port, master = free_port(), made.master()
    words = processes.command(master)
    words[words.index("--bind") + 1] = f"127.0.0.1:{port}"
    settings = {"DJANGO_SETTINGS_MODULE": "tests.benchmarks.scoring.only_settings"}
    told = made.at.processes()[master] | settings | {"WEB_CONCURRENCY": str(made.count)}
    with (made.at.home / "log" / "only.log").open("ab") as log:
        root = subprocess.Popen(words, cwd=ROOT, env=told, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
    family = lambda: processes.family(root.pid)  # noqa: E731
    target = Target("ours, only", port, made.path, ours.body, scores, family, made.headers, batches=False)
    try:
        target.wait(dict.fromkeys(NAMES, 0.0))
        yield target
    finally:
        processes.tell(reversed(family()), signal.SIGKILL)
        root.wait()
