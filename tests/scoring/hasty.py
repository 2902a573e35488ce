"""The scoring server's worker with less patience, for tests that wait for its end."""

from scoring.loop import worker
from scoring.loop.connections import Patience


class Worker(worker.Worker):
    patience = Patience(head=1.0, body=1.0, reader=1.0, last=0.5)
