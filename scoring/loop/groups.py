"""Group commit: answers wait until PostgreSQL has acknowledged the commit that their decisions share.

While one group is being committed, the next one forms; where nothing else waits, a group is one decision.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from django.db import connection
from psycopg import InternalError, OperationalError, errors

from registry import ledger
from registry.refusals import Refusal
from registry.writers import Writer
from scoring import committing, contact, outages, recording, sent
from scoring.committing import Key
from scoring.loop.sessions import Outcome, Session
from scoring.recording import Record

LARGEST = 128  # decisions that share a commit


@dataclass(eq=False)
class Held:
    """An answer that waits, with the records whose commit it waits for.

    `release` lets it leave. `again` asks the application once more, elsewhere, where waiting harms nobody, for a
    request_id that is taken. `refuse` lets the application answer that the records cannot be kept.
    """

    records: Sequence[Record]
    release: Callable[[], None]
    again: Callable[[], None]
    refuse: Callable[[Exception], None]

    def request_keys(self) -> list[Key]:
        """Return the model and request_id of each record that has one."""
        rows = [record.decision for record in self.records]
        return [(row.model_id, row.request_id) for row in rows if row.request_id is not None]


@dataclass
class Taking:
    """The committer of requests that are answered in the loop: it takes their records along and commits nothing.

    `reason` is why a request is refused whatever it says: it is asked only so that the refusal has the form of its
    protocol.
    """

    groups: "Groups"
    taken: list[Record] = field(default_factory=list)
    reason: Exception | None = None
    may_wait = False

    def put(self, records: Sequence[Record]) -> None:
        """Take records; Unavailable when there is no database to keep them, nor anything else."""
        if self.reason:
            raise self.reason
        if not self.groups.is_down:
            self.taken.extend(records)
        elif not self._kept(records):
            raise committing.Elsewhere  # the database is back, or was not tried yet

    def _kept(self, records: Sequence[Record]) -> bool:
        """Keep records in the journal that is being written while the database is gone; False when there is none."""
        if not contact.gone():
            return False
        try:
            committing.lost(records, begin=False)
        except outages.Drained:
            return False
        return True


class Groups:
    """The group that forms, the group being committed, and the writer whose numbers their entries bear."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._writer = Writer()
        self._forming: list[Held] = []
        self._flight: list[Held] = []
        self._waiting: dict[Key, list[Held]] = {}  # by the request_id that another answer is being committed with
        self._refusals = 0  # since a group was committed

    @property
    def is_down(self) -> bool:
        """Whether there is no database to commit to at the moment."""
        return self._session.is_down

    @property
    def waiting(self) -> int:
        """Return how many answers wait for a commit."""
        return len(self._forming) + len(self._flight)

    def add(self, held: Held) -> None:
        """Let an answer wait for the commit of its records."""
        keys = held.request_keys()
        for key in keys:
            if key in self._waiting:
                self._waiting[key].append(held)  # of two with the same request_id the second is asked again afterwards
                return
        self._waiting.update((key, []) for key in keys)
        self._forming.append(held)

    def pump(self) -> None:
        """Send the group that has formed, if none is being committed."""
        if self._forming and self._session.is_ready:
            group, self._forming = self._forming[:LARGEST], self._forming[LARGEST:]
            group.sort(key=lambda held: recording.order(held.records[0]))  # each has one, as a rule
            if values := self._numbered(group):
                sent.note(record.decision for held in self._flight for record in held.records)
                self._session.send(values, self._told)
        elif self._forming and self._session.is_down:
            self._lost()

    def _numbered(self, group: list[Held]) -> list[ledger.Parameters]:
        """Return what is sent for a group, which is under way now, but for what cannot be entered at all."""
        values: list[ledger.Parameters] = []
        name, first = self._writer.name, self._writer.upcoming(ledger.DECISIONS)
        for held in group:
            try:
                values += [
                    recording.parameters(record, name, first + len(values) + place)
                    for place, record in enumerate(held.records)
                ]
            except Exception as error:  # noqa: BLE001 - whatever it is, it is this one's, and the others go on
                held.refuse(error)
                self._settle(held)
            else:
                self._flight.append(held)
        return values

    def _told(self, outcome: Outcome) -> None:
        if outcome.is_lost or isinstance(outcome.error, OperationalError | InternalError):
            self._lost()  # it hangs, is full, shuts down, or only reads: whatever it is, it keeps nothing now
        elif outcome.error is None:
            self._committed()
        else:
            self._refused(outcome.error, outcome.place)

    def _committed(self) -> None:
        done, self._flight, self._refusals = self._flight, [], 0
        log, count = ledger.DECISIONS, sum(len(held.records) for held in done)
        self._writer.committed[log] = self._writer.committed.get(log, 0) + count
        for held in done:
            held.release()
            self._settle(held)

    def _lost(self) -> None:
        """Keep the records elsewhere, or refuse. A new writer begins: nobody knows whether the group was committed."""
        self._writer = Writer()
        gone, self._flight, self._forming, self._refusals = [*self._flight, *self._forming], [], [], 0
        try:
            committing.lost([record for held in gone for record in held.records])
        except (Refusal, committing.Repeated, committing.Elsewhere):
            for held in gone:
                self._lost_alone(held)
        else:
            for held in gone:
                held.release()
                self._settle(held)

    def _lost_alone(self, held: Held) -> None:
        """Do the same for one answer: of those that cannot be kept together, some can alone."""
        try:
            committing.lost(held.records)
        except (committing.Repeated, committing.Elsewhere):
            self._repeats(held)
        except Refusal as refusal:
            held.refuse(refusal)
            self._settle(held, refusal)
        else:
            held.release()
            self._settle(held)

    def _repeats(self, held: Held) -> None:
        for key in held.request_keys():
            committing.suspect(key)
        held.again()
        self._settle(held)

    def _refused(self, error: Exception, place: int | None) -> None:
        """Take out what the database would not have, and send the others again, under the same numbers."""
        rest, self._flight = self._flight, []
        self._refusals += 1
        repeated = isinstance(error, errors.UniqueViolation)
        out = self._culprits(rest, place, all_named=repeated and self._refusals > 1)
        self._forming = [held for held in rest if held not in out] + self._forming
        for held in out:
            if repeated:
                self._repeats(held)
            else:
                held.refuse(_wrapped(error))
                self._settle(held)

    def _culprits(self, group: list[Held], place: int | None, *, all_named: bool) -> list[Held]:
        """Return whose statement failed; with `all_named` all that have a request_id too, lest it go on and on."""
        owners = [held for held in group for _ in held.records]
        if place is None or place >= len(owners):
            return group  # the commit itself failed
        return [held for held in group if held is owners[place] or (all_named and held.request_keys())]

    def _settle(self, held: Held, refusal: Refusal | None = None) -> None:
        """Let those go on that waited for this one's request_id: it is taken now, or cannot be."""
        for key in held.request_keys():
            for other in self._waiting.pop(key, []):
                if refusal:
                    other.refuse(refusal)
                else:
                    committing.suspect(key)
                    other.again()


def _wrapped(error: Exception) -> Exception:
    """Return an error of PostgreSQL's as Django raises it."""
    try:
        with connection.wrap_database_errors:
            raise error
    except Exception as found:  # noqa: BLE001 - whatever it became
        return found
