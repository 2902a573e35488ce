"""A new deployment while the engine asks: after how long every worker answers by it, and whether a request failed."""

import json
import time
from pathlib import Path

from tests.benchmarks.scoring.forest import Forest
from tests.benchmarks.scoring.ours import Ours
from tests.benchmarks.scoring.plans import Plan
from tests.benchmarks.scoring.retrying import Clients
from tests.installations import until

CLIENTS, SETTLES = 16, 3.0  # seconds of load before an order and after its deployment
NEWEST = """
SELECT max(d.id) FROM scoring_deployment d JOIN registry_registeredmodel m ON m.id = d.model_id WHERE m.name = %s
"""


def measure(ours: Ours, forest: Forest, folder: Path, plan: Plan) -> dict:
    """Make a second version champion, then go back and forth; return each switch."""
    ours.resume()
    ours.scale(2)
    ours.promote(2)
    orders = [("roll back", 1), ("roll back", 2)] * plan.switches
    switches = [_switch(ours, forest, kind, version) for kind, version in orders]
    print(f"\ndeployments: {json.dumps(switches, indent=2)}", flush=True)
    return {
        "switches": switches,
        "seconds": max(switch["seconds"] for switch in switches),
        "failed": sum(switch["failed"] for switch in switches),
    }


def _switch(ours: Ours, forest: Forest, kind: str, version: int) -> dict:
    """Order it under load; return the seconds from its commit until the last request that the older version answered.

    A request counts from when it was sent; the commit is seen by asking for it every few milliseconds.
    """
    clients = Clients(ours.target(), forest.rows, CLIENTS)
    with ours.connect() as connection:

        def newest() -> int:
            return connection.execute(NEWEST, [ours.model]).fetchone()[0]  # type: ignore[index]

        before = newest()
        clients.start()
        try:
            time.sleep(SETTLES)
            ours.order(kind, version)
            until(lambda: newest() != before, "the governor deploys it", pause=0.002)
            committed = time.monotonic()
            time.sleep(SETTLES)
        finally:
            clients.stop()
    by = [(begun, json.loads(data)["version"]) for begun, _, data in clients.answers]
    older = [begun - committed for begun, number in by if number != version]
    return {
        "version": version,
        "requests": len(by),
        "after the commit": sum(begun > committed for begun, _ in by),
        "answered by the new one": sum(number == version for _, number in by),
        "seconds": round(max(0.0, *older), 3) if len(older) < len(by) else SETTLES,
        "failed": sum(times for how, times in clients.attempts.items() if how != "200") + len(clients.unanswered),
    }


def goals(found: dict) -> list[tuple[str, str, float, bool]]:
    """Return what is to be reached."""
    seconds, failed = found["seconds"], found["failed"]
    return [
        ("a new deployment in force in every worker (s)", "≤ 1", seconds, seconds <= 1),
        ("requests that failed meanwhile", "0", failed, failed == 0),
    ]
