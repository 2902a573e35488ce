"""Settings of ours scoring only, for the comparison with servers that only score; never part of the product."""

from governance.settings import *  # noqa: F403, TID251

ROOT_URLCONF = "tests.benchmarks.scoring.only_urls"
