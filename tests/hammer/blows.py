"""The hammer: everything that writes, sequences, witnesses or reads is a real process, and what can be killed is.

`python -m tests.hammer.blows SECONDS` (with DATABASE_URL naming a server, as its owner) prints what came of it.
"""

import json
import os
import random
import statistics
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from registry.tlog import directory, tiles
from registry.tlog.trust import Policy
from tests.installations import Installation, installation, until

LOGS = ("governance", "decisions")
ORIGIN = "countersign.example/log"
SEQUENCERS = ("sequencer-a", "sequencer-b")
DRAIN = 120.0  # seconds in which what is left must get its place: other tests' transactions may hold it back


@dataclass
class Hammer:
    """One run: who works, what was struck, and how long a standby took to take over."""

    at: Installation
    writers: int
    readers: int
    draw: random.Random = field(default_factory=lambda: random.Random(os.urandom(8)))
    struck: Counter = field(default_factory=Counter)
    takeovers: list[float] = field(default_factory=list)
    made: int = 0

    def begin(self) -> None:
        """Start everybody; the writers only once there is something to read."""
        self.at.start_witness()
        for name in SEQUENCERS:
            self.at.start_sequencer(name)
        until(self.at.leader, "a sequencer leads")
        until(lambda: all(self._reaches(log) for log in LOGS[:1]), "what set-up entered is published")
        for number in range(self.readers):
            places = [word for log in LOGS for word in (str(self.folder(log)), str(self._vkey(log)))]
            told = str(self.at.home / f"reader-{number}.count")
            self.at.start(f"reader-{number}", "-m", "tests.hammer.reading", told, str(number), *places)
        for _ in range(self.writers):
            self._add_writer()

    def strike(self, seconds: float) -> None:
        """Kill somebody every few seconds until the time is over; first one of each kind that matters most."""
        until(lambda: set(SEQUENCERS) <= self._sessions(), "a sequencer stands by")
        end = time.monotonic() + seconds
        blows = [self._kill_writer, self._kill_leader, self._kill_standby, self._end_session, self._kill_witness]
        due = [self._end_session, self._kill_writer, self._kill_leader]
        while (left := end - time.monotonic()) > 0:
            time.sleep(min(left, self.draw.uniform(0.5, 4)))
            (due.pop() if due else self.draw.choices(blows, (4, 4, 1, 2, 1))[0])()
            self._demand_readers()

    def settle(self) -> None:
        """Kill the writers, and wait until what they committed is published and cosigned."""
        for name in [name for name in self.at.running if name.startswith("writer")]:
            self.at.kill(name)
        until(self._settled, "every entry is published and cosigned", DRAIN, 0.2)
        time.sleep(0.5)  # the readers look once more
        self._demand_readers()

    def findings(self) -> dict:
        """Compare what the writers were told with what an outsider reads, and check the logs by policy."""
        told = self._told()
        published = [name for log in LOGS for name in self._ids(log)]
        known, stored = set(published), self._stored()
        for log in LOGS:
            directory.verify(self.folder(log), self._policy())
        self.at.manage("verify_ledger")
        reads = [path.read_text().split() for path in self.at.home.glob("reader-*.count")]
        return {
            "entries": len(published),
            "acknowledged": len(told["+"]),
            "rolled back": len(told["-"]),
            "in doubt, and there": len(told["?"] & known),
            "in doubt, and not": len(told["?"] - known),
            "lost": len(told["+"] - known) + len(stored - known),
            "doubled": len(published) - len(known),
            "back from a rollback": len(told["-"] & known),
            "gaps": self._gaps(),
            "breaches": self._breaches(),
            "killed": dict(sorted(self.struck.items())),
            "takeover seconds": {
                "count": len(self.takeovers),
                "median": round(statistics.median(self.takeovers or [0]), 2),
                "longest": round(max(self.takeovers, default=0), 2),
            },
            "heads read": sum(int(heads) for heads, _ in reads),
            "entries proved": sum(int(proved) for _, proved in reads),
        }

    def folder(self, log: str) -> Path:
        """Return the folder of a published log."""
        return self.at.home / "log-public" / ORIGIN / log

    def _add_writer(self) -> None:
        self.made += 1
        told = str(self.at.home / f"writer-{self.made}.told")
        name = f"writer-{self.made}"
        role = "app"  # it may enter in both logs
        self.at.start(name, "-m", "tests.hammer.writing", told, str(self.made), process="web", role=role)

    def _kill_writer(self) -> None:
        self.at.kill(self.draw.choice([name for name in self.at.running if name.startswith("writer")]))
        self._add_writer()
        self.struck["writer"] += 1

    def _kill_leader(self) -> None:
        leader = self.at.leader()
        if leader is None:
            return
        other = next(name for name in SEQUENCERS if name != leader)
        ready = other in self._sessions()
        begun = time.monotonic()
        self.at.kill(leader)
        if ready:
            until(lambda: self.at.leader() == other, "the standby takes over", pause=0.02)
            self.takeovers.append(time.monotonic() - begun)
        self.at.start_sequencer(leader)
        self.struck["leader"] += 1

    def _kill_standby(self) -> None:
        other = next(name for name in SEQUENCERS if name != self.at.leader())
        self.at.kill(other)
        self.at.start_sequencer(other)
        self.struck["standby"] += 1

    def _kill_witness(self) -> None:
        self.at.kill("witness")
        self.at.start_witness()
        self.struck["witness"] += 1

    def _end_session(self) -> None:
        """Take a writer's database session away, as a network would."""
        with self.at.connect() as connection:
            ended = connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() "
                "AND application_name LIKE 'writer%' ORDER BY random() LIMIT 1"
            ).fetchone()
        self.struck["session"] += bool(ended)

    def _demand_readers(self) -> None:
        for name, process in self.at.running.items():
            if name.startswith(("reader", "writer")) and process.poll() is not None:
                raise AssertionError(f"{name} ended: {(self.at.home / f'{name}.log').read_text()[-2000:]}")

    def _sessions(self) -> set[str]:
        with self.at.connect() as connection:
            rows = connection.execute(
                "SELECT application_name FROM pg_stat_activity WHERE datname = current_database()"
            )
            return {name for (name,) in rows}

    def _settled(self) -> bool:
        return all(self._reaches(log) for log in LOGS)

    def _reaches(self, log: str) -> bool:
        """Say whether the published head covers every entry that is committed, and is cosigned."""
        with self.at.connect() as connection:
            counted = connection.execute("SELECT count(*) FROM registry_ledgerentry WHERE log = %s", [log]).fetchone()
        path = self.folder(log) / "checkpoint"
        if counted is None or not path.exists():
            return not (counted and counted[0])
        note = path.read_bytes()
        return int(note.split(b"\n")[1]) == counted[0] and b"witness." in note

    def _policy(self) -> Policy:
        return Policy.parse((self.at.home / "keys" / "log.policy").read_bytes())

    def _vkey(self, log: str) -> Path:
        return self.at.home / "keys" / f"log.{log}.vkey"

    def _ids(self, log: str) -> list[str]:
        """Return the identifiers of all published entries of a log, in their order."""
        size = int((self.folder(log) / "checkpoint").read_bytes().split(b"\n")[1])
        found = []
        for tile in tiles.of_size(size):
            if tile.level == tiles.ENTRIES:
                found += tiles.unbundle(directory.read(self.folder(log), tile))
        assert len(found) == size
        return [json.loads(entry)["id"] for entry in found]

    def _stored(self) -> set[str]:
        with self.at.connect() as connection:
            return {str(name) for (name,) in connection.execute("SELECT uuid FROM registry_ledgerentry")}

    def _gaps(self) -> int:
        with self.at.connect() as connection:
            rows = connection.execute("SELECT max(index) + 1 - count(*) FROM registry_leaf GROUP BY log").fetchall()
        return sum(missing for (missing,) in rows)

    def _breaches(self) -> list[str]:
        with self.at.connect() as connection:
            return [detail for (detail,) in connection.execute("SELECT detail FROM registry_breach")]

    def _told(self) -> dict[str, set[str]]:
        told: dict[str, set[str]] = {"+": set(), "-": set(), "?": set()}
        for path in self.at.home.glob("writer-*.told"):
            for line in path.read_text().splitlines():
                told[line[0]].update(line[2:].split())
        return told


def hammer(home: Path, seconds: float, *, writers: int = 4, readers: int = 2) -> dict:
    """Strike for so many seconds at an installation in this folder, and return what was found."""
    with installation(home) as made:
        run = Hammer(made, writers, readers)
        run.begin()
        run.strike(seconds)
        run.settle()
        return run.findings()


def whole(found: dict) -> bool:
    """Say whether nothing was lost, doubled or left out."""
    wrong = ("lost", "doubled", "back from a rollback", "gaps")
    return not any(found[name] for name in wrong) and not found["breaches"] and found["acknowledged"] > 0


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="countersign-hammer-") as folder:
        report = hammer(Path(folder) / "home", float(sys.argv[1]))
    print(json.dumps(report, indent=2))
    sys.exit(not whole(report))
