"""Where the microseconds of a decision go: py-spy looks at a scoring worker under load, many times a second.

A sample belongs to the step of its innermost frame that has one; one in which a thread waits, to none. How often each
was seen says how the CPU time is shared that the kernel counted for the worker, so the sum is that; what PostgreSQL and
the sequencer do is not in it.
"""

import re
import subprocess
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.benchmarks.scoring import comparing, environments, processes
from tests.benchmarks.scoring.forest import Forest
from tests.benchmarks.scoring.ours import Ours
from tests.benchmarks.scoring.plans import Plan

RATE = 250  # samples a second: each holds the worker still for a moment
CLIENTS = (1, 32)
TOP = 15  # functions that are named
STEPS = {  # what a frame belongs to: the first pattern that its "function (file" matches
    "explanation and score": r"scoring/(runtimes|treeshap)|lightgbm/|numba/",
    "reasons and bands": r"scoring/(answering|reasons)|\((band_of|reasons)",
    "commitments": r"scoring/commitments",
    "entry": r"registry/(ledger|canonical|writers|ids)",
    "insert and commit": r"psycopg|django/db|registry/prepared|scoring/(recording|committing|journal)"
    r"|loop/(groups|sessions|inline)",
    "features": r"registry/schema|scoring/(asking|features)",
    "authentication": r"api/access|registry/people|perform_authentication|check_permissions|rest_framework/(auth|perm)",
    "admission and plan": r"scoring/(admission|serving|deployments)|registry/standing",
    "JSON in and out": r"api/rendering|json/|orjson|_parse|rest_framework/renderers",
    "view": r"scoring/(api|decisions|protocols)|registry/api/(problems|rewriting)",
    "Django and REST framework": r"django/|rest_framework/",
    "HTTP": r"gunicorn|scoring/loop|registry/api/chunks|governance/|socket|selectors|http/|threading|concurrent|queue",
}
_STEPS = {name: re.compile(pattern) for name, pattern in STEPS.items()}
# Innermost frames of threads that wait.
WAITING = re.compile(r"^(_worker|wait|[\w.]*\.(wait|select|turn)|select|poll|sleep|acquire) \(")


def measure(ours: Ours, forest: Forest, folder: Path, plan: Plan) -> dict:
    """Return for each number of clients the µs a decision of each step, and of the functions that took most."""
    ours.quiet()
    ours.scale(1)
    try:
        found = {f"{clients} clients": _look(ours, forest, clients, plan) for clients in CLIENTS}
    finally:
        ours.resume()
    ours.scale(2)
    _say(found)
    return found


def _look(ours: Ours, forest: Forest, clients: int, plan: Plan) -> dict:
    target, (worker,) = ours.target(), ours.workers()
    target.wait(forest.rows[0])
    requests = [data.decode() for data in target.requests(forest.rows, 1)]
    job = {"connections": clients, "seconds": plan.steady + 1, "warm": 1, "requests": requests}
    with TemporaryDirectory() as place:
        stacks = Path(place) / "stacks"
        words = f"record -p {worker} -r {RATE} -d {plan.steady:.0f} -f raw -F -o {stacks}".split()
        spy = environments.python("spy").with_name("py-spy")
        looking = subprocess.Popen([spy, *words], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        before = processes.cpu([worker])
        load = comparing.send(target, job)
        used = processes.cpu([worker]) - before
        said = looking.communicate()[1]
        if looking.returncode:
            raise RuntimeError(f"py-spy may not look at the worker; it needs the right to trace processes: {said}")
        samples = _samples(stacks.read_text())
    decisions = load["per_second"] * (job["seconds"] + job["warm"])
    return _figures(samples, used / decisions * 1e6) | {"per_second": load["per_second"]}


def _samples(text: str) -> Counter:
    """Return how often each stack was seen, outermost frame first."""
    found: Counter = Counter()
    for line in text.splitlines():
        stack, _, times = line.rpartition(" ")
        found[tuple(stack.split(";"))] += int(times)
    return found


def step(stack: tuple[str, ...]) -> str:
    """Return what a stack is at: the step of its innermost frame that has one."""
    for frame in reversed(stack):
        for name, pattern in _STEPS.items():
            if pattern.search(frame):
                return name
    return "other"


def _figures(samples: Counter, cpu: float) -> dict:
    """Share so many µs a decision between the stacks by how often they were seen at work."""
    steps: Counter = Counter()
    functions: Counter = Counter()
    for stack, times in samples.items():
        if not WAITING.match(stack[-1]):
            steps[step(stack)] += times
            functions[re.sub(r":\d+\)$", ")", stack[-1])] += times
    each = cpu / max(1, steps.total())
    return {
        "steps_us": {name: round(times * each, 1) for name, times in steps.most_common()},
        "functions_us": {name: round(times * each, 1) for name, times in functions.most_common(TOP)},
        "cpu_us": round(cpu, 1),
        "samples": steps.total(),
    }


def _say(found: dict) -> None:
    names = dict.fromkeys(name for run in found.values() for name in run["steps_us"])
    print(f"\n| µs of a worker's CPU for a decision | {' | '.join(found)} |\n|---|{'---|' * len(found)}")
    for name in names:
        print(f"| {name} | {' | '.join(str(run['steps_us'].get(name, 0)) for run in found.values())} |")
    print(f"| sum | {' | '.join(str(run['cpu_us']) for run in found.values())} |")
    for clients, run in found.items():
        print(f"\n{clients}, {run['per_second']}/s; the functions themselves, µs a decision:")
        for name, value in run["functions_us"].items():
            print(f"  {value:>8}  {name}")


def goals(found: dict) -> list[tuple[str, str, float, bool]]:
    """There is nothing to be reached: it shows where the time goes."""
    return []
