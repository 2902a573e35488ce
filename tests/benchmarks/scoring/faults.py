"""Load while the database is away for a third of the time and a worker is killed every few seconds: is anything lost?

Every request has a request_id and is sent again until it is answered. Afterwards each answer is looked up: its decision
is on record, once, with the same content; its entry is in the log, once; and asking again under its request_id gives
the same bytes.
"""

import json
import random
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path

from registry.tlog import directory, tiles
from tests.benchmarks.scoring import outages
from tests.benchmarks.scoring.forest import Forest
from tests.benchmarks.scoring.ours import Ours
from tests.benchmarks.scoring.plans import Plan, Trouble
from tests.benchmarks.scoring.retrying import Clients
from tests.benchmarks.scoring.targets import Row
from tests.installations import until

SETTLES = 120.0  # seconds in which all that was answered is on record and in the published log
AGAIN = 200  # answers that are asked for again
MINE = """
SELECT d.id::text, d.entity, d.answer, d.at FROM scoring_decision d
JOIN registry_registeredmodel m ON m.id = d.model_id WHERE m.name = %s AND d.entity <> ''
"""


def trouble(made: Ours, rows: Sequence[Row], kind: str, much: Trouble, clients: int = 8) -> dict:
    """Carry it out on a running platform and return what was found afterwards."""
    asking = Clients(made.target(), rows, clients)
    asking.start()
    begun, killed = time.monotonic(), 0
    try:
        with ThreadPoolExecutor(1) as pool:
            outage = pool.submit(_take_away, made, kind, much)
            while (left := begun + much.seconds - time.monotonic()) > 0:
                time.sleep(min(left, much.kill_every))
                killed += outages.kill_a_worker(made) if left > much.kill_every else 0
    finally:
        asking.stop()
    outage.result()  # raises what went wrong there
    return _figures(asking, killed) | _findings(made, asking)


def _take_away(made: Ours, kind: str, much: Trouble) -> None:
    time.sleep(much.away_from)
    outages.KINDS[kind](made, much.away_for)


def _figures(asking: Clients, killed: int) -> dict:
    took = sorted(ended - begun for begun, ended, _ in asking.answers)
    asked = len(asking.answered) + len(asking.unanswered)
    return {
        "asked": asked,
        "answered": len(asking.answered),
        "answered_share": round(len(asking.answered) / max(1, asked), 5),
        "attempts": dict(asking.attempts),
        "workers_killed": killed,
        "seconds_to_answer": {str(q): round(took[min(len(took) - 1, int(len(took) * q))], 3) for q in (0.5, 0.99, 1)}
        if took
        else {},
    }


def _findings(made: Ours, asking: Clients) -> dict:
    """Return how many answers are not on record, not as they were answered, or there more than once."""
    said = {request_id: json.loads(data) for request_id, data in asking.answered.items()}
    ids = {_id(answer) for answer in said.values()}
    missing = _settled(made, ids)
    mine = said.keys() | set(asking.unanswered)
    with made.connect() as connection:
        records = [row for row in connection.execute(MINE, [made.model]) if row[1] in mine]
        uuids = Counter(str(name) for (name,) in connection.execute("SELECT uuid FROM registry_ledgerentry"))
    kept = {number: (json.loads(bytes(answer)), at) for number, _, answer, at in records}
    by_entity = Counter(entity for _, entity, _, _ in records)
    return {
        "lost": len(ids - kept.keys()),
        "not in the log": len(missing) + sum(uuids[number] == 0 for number in ids),
        "changed": sum(_differs(answer, *kept[name]) for answer in said.values() if (name := _id(answer)) in kept),
        "doubled": sum(times - 1 for times in by_entity.values()) + sum(uuids[number] > 1 for number in ids),
        "answered otherwise when asked again": _asked_again(asking),
        "on record without an answer": len(set(by_entity) & set(asking.unanswered)),
    }


def _id(answer: dict) -> str:
    return answer["decision_id"]


def _differs(answer: dict, record: dict, at: datetime) -> bool:
    """Say whether what is on record is not what was answered; a reason is answered with its text beside it."""
    same = all(answer[name] == record.get(name) for name in ("score", "band", "action"))
    reasons, kept = (
        [{name: value for name, value in told.items() if name != "text"} for told in where["reasons"]]
        for where in (answer, record)
    )
    return not same or reasons != kept or datetime.fromisoformat(answer["at"]) != at


def _settled(made: Ours, ids: set[str]) -> set[str]:
    """Wait until the published log holds these, for as long as it may take; return what it does not hold then."""
    left = set(ids)

    def all_there() -> bool:
        left.difference_update(published(made))
        return not left

    try:
        until(all_there, "every answered decision is in the published log", SETTLES, 0.5)
    except AssertionError:
        return left
    return set()


def published(made: Ours) -> list[str]:
    """Return the identifiers of the entries in the published log of decisions, which comes with the first of them."""
    head = next((made.at.home / "log-public").glob("**/decisions/checkpoint"), None)
    if head is None:
        return []
    folder, size = head.parent, int(head.read_bytes().split(b"\n")[1])
    bundles = [tile for tile in tiles.of_size(size) if tile.level == tiles.ENTRIES]
    return [json.loads(entry)["id"] for tile in bundles for entry in tiles.unbundle(directory.read(folder, tile))]


def _asked_again(asking: Clients) -> int:
    """Ask again under some request_ids that were answered; return how many answers are not the same bytes."""
    again = random.sample(sorted(asking.answered), min(AGAIN, len(asking.answered)))
    return sum(asking.again(name) != asking.answered[name] for name in again)


def measure(ours: Ours, forest: Forest, folder: Path, plan: Plan) -> dict:
    """Take the database away in each way, workers dying all the while."""
    ours.scale(2)
    found = {}
    for kind in outages.KINDS:
        found[kind] = trouble(ours, forest.rows, kind, plan.trouble)
        print(f"\ndatabase {kind}: {json.dumps(found[kind], indent=2)}", flush=True)
    return found


WRONG = ("lost", "not in the log", "changed", "doubled", "answered otherwise when asked again")


def goals(found: dict) -> list[tuple[str, str, float, bool]]:
    """Return what is to be reached for each way in which the database was away."""
    rows = []
    for kind, run in found.items():
        share = run["answered_share"]
        rows.append((f"answered on retry, database {kind}", "≥ 0.999", share, share >= 0.999))
        rows += [(f"answered decisions {name}, database {kind}", "0", run[name], run[name] == 0) for name in WRONG]
    return rows
