"""Ours beside the servers people use: throughput and latency in interleaved rounds, one of them running at a time.

Every server of a round is started once, asked until it is warm and right, and then held still by SIGSTOP while others
are measured. PostgreSQL and the load's own process share the two cores with whoever is measured, and so does, with
ours, the sequencer that gives the decisions their places in the log.
"""

import json
import statistics
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.benchmarks.scoring import only, peers, processes
from tests.benchmarks.scoring.forest import Forest
from tests.benchmarks.scoring.ours import Ours
from tests.benchmarks.scoring.plans import Plan
from tests.benchmarks.scoring.targets import Target

LOAD = Path(__file__).with_name("load.py")


def send(target: Target, job: dict) -> dict:
    """Put a target under load from a process of its own; return what came of it, with the CPU used by each side."""
    parts = {"server": target.family(), **{name: of() for name, of in target.parts.items()}}
    before = {name: processes.cpu(numbers) for name, numbers in parts.items()}
    told = json.dumps({"port": target.port, **job})
    done = subprocess.run([sys.executable, str(LOAD)], input=told, capture_output=True, text=True, check=True)
    found = json.loads(done.stdout)
    answered = max(1, found["requests"])
    share = job["seconds"] / (job["seconds"] + job["warm"])
    used = {name: processes.cpu(numbers) - before[name] for name, numbers in parts.items()}
    return found | {"cpu_us": {name: round(seconds * share / answered * 1e6) for name, seconds in used.items()}}


def measure(ours: Ours, forest: Forest, folder: Path, plan: Plan) -> dict:
    """Return for each number of processes, rows a request and clients: every round of every server, and medians."""
    ours.quiet()
    found: dict = {}
    for count in plan.counts:
        ours.scale(count)
        with _everybody(ours, forest, folder, count) as targets:
            for at_once, clients in plan.cells:
                able = [target for target in targets if at_once == 1 or target.batches]
                rounds = _rounds(able, forest, at_once, clients, plan)
                cell = {name: _medians(runs) | {"rounds": runs} for name, runs in rounds.items()}
                found.setdefault(f"{count} processes", {})[f"{at_once} rows, {clients} clients"] = cell
                _say(count, at_once, clients, cell)
    return found


@contextmanager
def _everybody(ours: Ours, forest: Forest, folder: Path, count: int) -> Iterator[list[Target]]:
    """Run all of them with so many processes, each checked to be right and then held still."""
    with ExitStack() as stack:
        stack.callback(ours.resume)
        targets = [ours.target(), stack.enter_context(only.served(ours))]
        for target in targets:
            peers.demand_right(target, forest)
            target.pause()
        for peer in peers.PEERS:
            targets.append(stack.enter_context(peers.served(peer, forest, folder, count, ours.record_url())))
            targets[-1].pause()
        yield targets


def _rounds(targets: Sequence[Target], forest: Forest, at_once: int, clients: int, plan: Plan) -> dict[str, list]:
    rounds: dict[str, list] = {target.name: [] for target in targets}
    for number in range(plan.rounds):
        for place in range(len(targets)):
            target = targets[(place + number) % len(targets)]
            requests = [data.decode() for data in target.requests(forest.rows, at_once)]
            job = {"connections": clients, "seconds": plan.seconds, "warm": plan.warm, "requests": requests}
            with target.running(forest.rows[0]):
                rounds[target.name].append(send(target, job))
    return rounds


def _medians(runs: list[dict]) -> dict:
    """Return medians over the rounds; a round without an answer counts with no throughput."""
    latencies = [run["ms"] for run in runs if run["ms"]]
    return {
        "per_second": _median([run["per_second"] for run in runs]),
        "p50_ms": _median([found["50"] for found in latencies]),
        "p99_ms": _median([found["99"] for found in latencies]),
        "cpu_us": {name: _median([run["cpu_us"][name] for run in runs]) for name in runs[0]["cpu_us"]},
        "failed": sum(n for run in runs for status, n in run["statuses"].items() if status != "200"),
    }


def _median(values: list[float]) -> float | None:
    return round(statistics.median(values), 3) if values else None


def _say(count: int, at_once: int, clients: int, cell: dict) -> None:
    print(f"\n{count} processes, {at_once} rows a request, {clients} clients", flush=True)
    for name, found in sorted(cell.items(), key=lambda item: -item[1]["per_second"]):
        p50, p99, failed = found["p50_ms"], found["p99_ms"], found["failed"]
        wrong = f"   {failed} FAILED" if failed else ""
        cpu = ", ".join(f"{part} {value:.0f}" for part, value in found["cpu_us"].items())
        print(
            f"  {name:<12} {found['per_second']:>9.1f}/s   p50 {p50} ms   p99 {p99} ms   CPU µs: {cpu}{wrong}",
            flush=True,
        )


GOALS = [  # what, peer, measure, clients, at least or at most
    ("throughput at 32 clients, of the hand-written equivalent's", "ours", "by hand", "per_second", 32, 5.0),
    ("p50 at 1 client, of the hand-written equivalent's", "ours", "by hand", "p50_ms", 1, 0.3),
    ("throughput at 32 clients, of mlflow models serve", "ours", "mlflow", "per_second", 32, 15.0),
    ("p50 at 1 client, of mlflow models serve", "ours", "mlflow", "p50_ms", 1, 0.2),
    ("throughput at 32 clients, of MLServer, score only", "ours", "mlserver", "per_second", 32, 1.0),
    ("throughput at 32 clients, of BentoML, score only", "ours", "bentoml", "per_second", 32, 1.0),
    ("throughput at 32 clients, of LitServe, score only", "ours", "litserve", "per_second", 32, 1.0),
    ("throughput at 32 clients, of FastAPI + booster, score only", "ours", "fastapi", "per_second", 32, 0.6),
    ("the same, ours score only", "ours, only", "fastapi", "per_second", 32, 1.0),
]


def goals(found: dict) -> list[tuple[str, str, float, bool]]:
    """Return what is to be reached with each number of processes, the medians' ratio, and whether it was."""
    rows = []
    for processes_, cells in found.items():
        for what, mine, theirs, measure_, clients, goal in GOALS:
            cell = cells.get(f"1 rows, {clients} clients", {})
            if mine in cell and theirs in cell and cell[theirs][measure_] and cell[mine][measure_]:
                ratio = round(cell[mine][measure_] / cell[theirs][measure_], 2)
                more = measure_ == "per_second"
                sign = "≥" if more else "≤"
                rows.append(
                    (f"{what}, {processes_}", f"{sign} {goal}", ratio, ratio >= goal if more else ratio <= goal)
                )
    return rows
