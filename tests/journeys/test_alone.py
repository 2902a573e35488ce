"""Scoring needs nothing but its database: everything else of the platform may stand still."""

import os
import signal
from contextlib import contextmanager
from pathlib import Path

import pytest

from governance.demo.clients import ask, program
from tests import builders

MODEL = "payment-fraud"
WITHOUT = [
    ("sequencer",),
    ("web",),
    ("worker", "intake", "checks", "drift", "monitors", "train", "webhooks", "governor", "beat"),
]


@contextmanager
def frozen(numbers):
    for number in numbers:
        os.kill(number, signal.SIGSTOP)
    try:
        yield
    finally:
        for number in numbers:
            os.kill(number, signal.SIGCONT)


def brokers(home):
    """Return the process numbers of the platform's broker."""
    found = []
    for folder in (path for path in Path("/proc").iterdir() if path.name.isdigit()):
        try:
            words = (folder / "cmdline").read_bytes().decode()
        except OSError:
            continue
        if "valkey-server" in words and str(home) in words:
            found.append(int(folder.name))
    return found


@pytest.fixture
def score(walked, platform):
    with program(platform.scoring_url, platform.tokens["engine"]) as engine:
        yield lambda place: ask(
            engine, "POST", f"/api/v1/models/{MODEL}/score", json={"features": builders.features(place)}
        )


@pytest.mark.parametrize("names", WITHOUT, ids=lambda names: names[0])
def test_scoring_goes_on_while_others_stand_still(score, platform, names):
    numbers = [number for number, told in platform.processes().items() if told["PROCESS"] in names]
    assert len(numbers) >= len(names)
    with frozen(numbers):
        assert all(score(place)["score"] is not None for place in range(20))


def test_scoring_goes_on_without_the_broker(score, platform):
    numbers = brokers(platform.home)
    assert numbers
    with frozen(numbers):
        assert all(score(place)["score"] is not None for place in range(20))
