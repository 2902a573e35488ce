"""How much is measured: all of it, or the little that fits into four minutes (QUICK=1)."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Plan:
    """Numbers of processes, cells of (rows a request, clients), rounds of each, and how long everything takes."""

    counts: tuple[int, ...] = (1, 2)
    cells: tuple[tuple[int, int], ...] = ((1, 1), (1, 8), (1, 32), (100, 8))
    rounds: int = 5
    seconds: float = 2.0  # of a round
    warm: float = 0.5


FULL = Plan()
QUICK = Plan(counts=(1,), cells=((1, 1), (1, 32)), rounds=2, seconds=1.0)
