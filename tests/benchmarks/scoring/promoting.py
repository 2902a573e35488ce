"""Bring the benchmark's model to be champion of a running platform, on the road that everybody takes.

`python -m tests.benchmarks.scoring.promoting SEED` (with PUBLIC_URL, SCORING_URL and COUNTERSIGN_HOME of a platform)
registers, waits for the checks, has it signed and promotes it.
"""

import sys

from governance.demo.steps import Steps
from tests.benchmarks.scoring.forest import story


def main(seed: int) -> None:
    """Walk the steps until the version is champion."""
    steps, told = Steps(), story(seed)
    number = steps.register(told, steps.upload(told))
    steps.check(told, number)
    steps.approve(told, number)
    steps.promote(told, number)


if __name__ == "__main__":
    main(int(sys.argv[1]))
