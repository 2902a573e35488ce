"""Carry out every attack against the platform that the environment names, and print what caught each."""

import json
import os
import sys
import time
from pathlib import Path

from tests.attacks import Attack, NotCaughtError, everything
from tests.attacks.table import Outcome, markdown, write
from tests.attacks.world import World
from tests.running import Platform


def attacked() -> Platform:
    """Return the running platform that the launcher started."""
    home = Path(os.environ["COUNTERSIGN_HOME"])
    known = json.loads((home / "secrets" / "demo_people.json").read_text())
    return Platform(
        os.environ["PUBLIC_URL"], os.environ["SCORING_URL"], home, known["passwords"], known["tokens"], process=None
    )


def carry_out(attack: Attack, world: World) -> Outcome:
    """Carry out one attack; afterwards the platform must stand as it did before."""
    began = time.monotonic()
    caught, broken = None, ""
    try:
        caught = attack.carry_out(world)
    except NotCaughtError as error:
        print(f"      {error}", file=sys.stderr)
    except Exception as error:  # noqa: BLE001 - whatever keeps it from being carried out fails the command
        broken = f"{type(error).__name__}: {str(error)[:600]}"
    try:
        world.calm()
    except Exception as error:  # noqa: BLE001 - see above
        broken = broken or f"it left damage: {error}"
    return Outcome(attack, caught, broken, time.monotonic() - began)


def say(outcome: Outcome) -> None:
    """Print one line about an attack."""
    sign = "FAIL" if outcome.fault else "ok" if outcome.caught else "known"
    print(f"{sign:<5} {outcome.seconds:4.1f} s  {outcome.attack.group}: {outcome.attack.title}", flush=True)
    print(f"              → {outcome.fault or outcome.caught or 'nothing, as LIMITS says'}", flush=True)


def main() -> int:
    """Bring the platform to life, attack it, print the table; 1 when one attack was neither caught nor known."""
    began = time.monotonic()
    world = World(attacked())
    world.live()
    print(f"alive after {time.monotonic() - began:.0f} s", flush=True)
    only = os.environ.get("ONLY", "").split()
    outcomes = []
    for attack in everything.ordered():
        if not only or attack.name in only or attack.group in only:
            outcomes.append(carry_out(attack, world))
            say(outcomes[-1])
    wrong = [outcome for outcome in outcomes if outcome.fault]
    print(f"\n{markdown([outcome for outcome in outcomes if not outcome.fault])}\n", flush=True)
    print(f"{len(outcomes)} attacks in {time.monotonic() - began:.0f} s", flush=True)
    for outcome in wrong:
        print(f"FAILED  {outcome.attack.title}: {outcome.fault}", flush=True)
    if os.environ.get("WRITE") == "1" and not wrong and not only:
        write(outcomes)
    return 1 if wrong else 0
