"""The attack suite, once: `make attack` prints what it says, with WRITE=1 into the README."""

import subprocess
import sys

import pytest

from tests.attacks import LIMITS
from tests.attacks.everything import ordered
from tests.attacks.table import Outcome, expected, shown
from tests.running import ROOT


@pytest.mark.xdist_group("attacks")
def test_every_attack_on_a_running_platform_is_caught_or_a_known_limit():
    command = [sys.executable, "-m", "tests.attacks"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert f"{len(ordered())} attacks in" in done.stdout


def test_the_readme_lists_exactly_the_attacks_there_are():
    assert shown() == expected()


def test_every_attack_says_what_it_is_in_words_of_its_own_and_every_limit_is_one():
    titles = [attack.title for attack in ordered()]
    assert all(titles)
    assert len(set(titles)) == len(titles)
    assert set(LIMITS) <= {attack.name for attack in ordered()}


def test_what_is_not_as_known_fails():
    known, other = (next(a for a in ordered() if (a.name in LIMITS) is limit) for limit in (True, False))
    assert not Outcome(known, None).fault
    assert not Outcome(other, "a trigger").fault
    assert "NOTHING CAUGHT IT" in Outcome(other, None).fault
    assert "is caught by now" in Outcome(known, "a trigger").fault
    assert "could not be carried out" in Outcome(known, None, "no server").fault
