"""Run the sequencer until told to stop."""

import signal
import threading
from typing import Any

from django.core.management.base import BaseCommand
from django.db import close_old_connections
from django.utils import timezone

from registry import sequencing

INTERVAL = 0.2  # seconds between batches: half of it is the mean wait of an entry for its place
SWEEP = 300  # batches between two looks behind the cursor


class Command(BaseCommand):
    """Give entries their places in the log, sign and publish checkpoints."""

    help = __doc__

    def handle(self, *args: Any, **options: Any) -> None:
        """Loop until SIGTERM or SIGINT; a lost database ends the process, and its supervisor starts it again."""
        stop = threading.Event()
        for name in (signal.SIGTERM, signal.SIGINT):
            signal.signal(name, lambda *_: stop.set())
        close_old_connections()
        sequencing.hold_lock()
        logs = sequencing.open_all()
        self.stdout.write(f"sequencing {', '.join(f'{log.log} from {log.peaks.size}' for log in logs)}")
        turn = 0
        while not stop.is_set():
            busy = [log.advance(timezone.now(), sweep=turn % SWEEP == 0) == sequencing.BATCH for log in logs]
            turn += 1
            stop.wait(0 if any(busy) else INTERVAL)
