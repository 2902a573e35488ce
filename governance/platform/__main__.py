"""The command line: `python -m governance.platform run | demo | exec -- COMMAND …`."""

import argparse
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from governance.platform import probes, processes, services
from governance.platform.environment import Surroundings, shared
from governance.platform.home import CannotStart, Home
from governance.platform.process import Process
from governance.platform.supervisor import Asked, Supervisor, say


def main(argv: Sequence[str] | None = None) -> int:
    """Do what the command line asks; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m governance.platform", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("run", help="start the platform; Ctrl-C stops it")
    commands.add_parser("demo", help="start it and walk the whole road (DEMO_ONCE=1: then stop)")
    execute = commands.add_parser("exec", help="run a command with PostgreSQL and Valkey of its own")
    execute.add_argument("words", nargs=argparse.REMAINDER, metavar="-- COMMAND …")
    given = parser.parse_args(argv)
    try:
        if given.command == "exec":
            words = given.words[1:] if given.words[:1] == ["--"] else given.words
            return _execute(words) if words else parser.error("exec: no command given")
        code = _run(walk=given.command == "demo")
    except CannotStart as refusal:
        say(f"Cannot start: {refusal}")
        return 1
    except Asked as asked:
        code = 128 + asked.number if given.command == "exec" else 0
    say("stopped")
    return code


def _run(*, walk: bool) -> int:
    home = Home.open()
    lock = home.lock()
    web_port, scoring_port = probes.port("WEB_PORT", 8000), probes.port("SCORING_PORT", 8001)
    if web_port == scoring_port:
        raise CannotStart(f"WEB_PORT and SCORING_PORT are both {web_port}. Choose another number for one of them.")
    home.folder("keys")
    with Supervisor(home, lock) as supervisor:
        databases, broker = services.database(supervisor, home), services.broker(supervisor, home)
        told = Surroundings(home, databases, broker, web_port, scoring_port, probes.free_port())
        told.remember()
        # Demo people go only into our own database, or where the demo is asked for.
        _set_up(supervisor, processes.setup(told, people=walk or "DATABASE_URL" not in os.environ))
        supervisor.start(*processes.servers(told))
        supervisor.start(*processes.helpers(told))
        print(f"pages and APIs  http://{probes.LOCAL}:{web_port}", flush=True)
        print(f"scoring         http://{probes.LOCAL}:{scoring_port}", flush=True)
        if walk:
            code = supervisor.run(processes.walk(told))
            if os.environ.get("DEMO_ONCE") == "1" or supervisor.interrupted:
                return code
        print("Ctrl-C stops it", flush=True)
        return supervisor.wait()


def _set_up(supervisor: Supervisor, step: Process) -> None:
    began = time.monotonic()
    if code := supervisor.run(step):
        raise CannotStart(f"{step.name} ended with code {code}:\n{supervisor.last_lines(step.name)}")
    say(f"{step.name} done in {time.monotonic() - began:.1f} s")


def _execute(words: Sequence[str]) -> int:
    home = Home.open(Home.open().folder("test"))
    lock = home.lock()
    home.folder("keys")
    with Supervisor(home, lock) as supervisor:
        env = {
            **os.environ,
            "DATABASE_URL": os.environ.get("DATABASE_URL") or services.database(supervisor, home)["superuser"],
            "BROKER_URL": services.broker(supervisor, home),
            **shared(home),
        }
        command = Process(words[0], words, env, restart=False, console=True, folder=Path.cwd())
        return supervisor.run(command)


if __name__ == "__main__":
    sys.exit(main())
