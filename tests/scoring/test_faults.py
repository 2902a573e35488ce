"""The product's own scoring process, its database away for some seconds and a worker killed: nothing lost or doubled.

`make bench PART=faults` does the same for longer, and with a database that hangs.
"""

import pytest

from tests import builders
from tests.benchmarks.scoring import faults
from tests.benchmarks.scoring.ours import Ours
from tests.benchmarks.scoring.plans import Trouble


@pytest.mark.usefixtures("walked")
def test_what_was_answered_is_on_record_once_though_the_database_stopped_and_a_worker_was_killed(platform):
    rows = [builders.features(place) for place in range(40)]
    much = Trouble(seconds=9, away_from=3, away_for=3, kill_every=5)
    found = faults.trouble(Ours(platform, "payment-fraud"), rows, "stopped", much, clients=4)
    assert found["workers_killed"] == 1
    assert found["answered"] > 20, found
    assert not any(found[wrong] for wrong in faults.WRONG), found
