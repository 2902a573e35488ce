"""Run the sequencer until told to stop."""

import logging
import signal
import threading
import time
from typing import Any

from django.core.management.base import BaseCommand
from django.db import close_old_connections, connection
from django.utils import timezone

from registry import breaches, sequencing
from registry.ledger import LOGS
from registry.refusals import Mismatch

INTERVAL = 0.2  # seconds from one batch to the next: half of it is the mean wait of an entry for its place
PACE = 0.5  # seconds between two published checkpoints of a busy log, each cosigned
SWEEP = 300  # batches between two looks behind the cursor
RETRY = 10.0  # seconds until a refused log is taken up again: somebody may have put right what was wrong


log = logging.getLogger(__name__)


class Command(BaseCommand):
    """Give entries their places in the log, sign and publish checkpoints, have them cosigned."""

    help = __doc__

    def handle(self, *args: Any, **options: Any) -> None:
        """Loop until SIGTERM or SIGINT; a lost database ends the process, and its supervisor starts it again.

        A second one stands by until the first is gone. One log that is refused keeps the other from nothing.
        """
        stop = threading.Event()
        for name in (signal.SIGTERM, signal.SIGINT):
            signal.signal(name, lambda *_: stop.set())
        close_old_connections()
        if not sequencing.stand_by(stop.is_set):
            return
        session = connection.connection  # the lock lives and dies with it
        lines = [_Line(log, self) for log in LOGS]
        turn = 0
        while not stop.is_set() and connection.connection is session:
            begun = time.monotonic()
            placed = [line.advance(sweep=turn % SWEEP == 0) for line in lines]
            turn += 1
            rest = INTERVAL - (time.monotonic() - begun)
            stop.wait(0 if sequencing.BATCH in placed else max(rest, 0))


class _Line:
    """One log and its sequencer, which is taken up anew some time after it was refused."""

    def __init__(self, log: str, command: BaseCommand) -> None:
        self._log, self._command = log, command
        self._sequencer: sequencing.Sequencer | None = None
        self._due = self._publish = 0.0

    def advance(self, *, sweep: bool) -> int:
        """Sequence what is pending; return how much. What is refused is a breach, red until a person answers it.

        So is what breaks: whatever somebody put into one log must not stop the other.
        """
        if self._sequencer is None and time.monotonic() < self._due:
            return 0
        try:
            self._sequencer = self._sequencer or self._open()
            publish = time.monotonic() >= self._publish
            if publish:
                self._publish = time.monotonic() + PACE
            return self._sequencer.advance(timezone.now(), sweep=sweep, publish=publish)
        except Mismatch as mismatch:
            return self._refuse(mismatch.detail)
        except Exception as error:
            if not connection.is_usable():
                raise
            log.exception("the %s log broke", self._log)
            return self._refuse(f"Sequencing broke: {type(error).__name__}. The sequencer's output says where.")

    def _refuse(self, detail: str) -> int:
        self._sequencer, self._due = None, time.monotonic() + RETRY
        self._command.stderr.write(detail)
        breaches.record(log=self._log, kind="refused", detail=detail, now=timezone.now())
        return 0

    def _open(self) -> sequencing.Sequencer:
        opened = sequencing.Sequencer.open(self._log)
        self._command.stdout.write(f"sequencing {self._log} from {opened.peaks.size}")
        return opened
