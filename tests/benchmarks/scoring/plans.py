"""How much is measured: all of it, or the little that fits into four minutes (QUICK=1)."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Trouble:
    """For how long everything goes on (seconds), when the database is away, and how often a worker is killed."""

    seconds: float = 60.0
    away_from: float = 15.0
    away_for: float = 20.0
    kill_every: float = 5.0


@dataclass(frozen=True)
class Plan:
    """Numbers of processes, cells of (rows a request, clients), rounds of each, and how long everything takes."""

    counts: tuple[int, ...] = (1, 2)
    cells: tuple[tuple[int, int], ...] = ((1, 1), (1, 8), (1, 32), (100, 8))
    rounds: int = 5
    seconds: float = 2.0  # of a round
    warm: float = 0.5
    steady: float = 8.0  # seconds of a round at a steady rate, and of load before something is looked at
    switches: int = 3  # there and back
    trouble: Trouble = Trouble()


FULL = Plan()
QUICK = Plan(
    counts=(1,),
    cells=((1, 1), (1, 32)),
    rounds=2,
    seconds=1.0,
    steady=3.0,
    switches=1,
    trouble=Trouble(12.0, 3.0, 4.0, 3.0),
)
