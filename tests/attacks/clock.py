"""What a clock that was set back could be used for: to date a log, a cosignature or an entry before its time."""

import shutil
import time
from datetime import timedelta

import httpx

from registry import keys, proofs, sequencing, witness
from registry.ledger import DECISIONS, GOVERNANCE, LOGS
from registry.models import Checkpoint, Tree
from registry.refusals import Unavailable
from registry.tlog import notes, witnessing
from tests.attacks import NotCaughtError, attack
from tests.attacks.ledger import slip_in, verify_log
from tests.attacks.published import party
from tests.attacks.world import now, refused, unsigned


@attack
def set_the_sequencers_clock_back(world):
    """The sequencer's clock is set back an hour"""
    before = Tree.objects.count(), Checkpoint.objects.count()
    with world.stopped():
        world.score()
        late = sequencing.Sequencer.open(DECISIONS)
        said = unsigned("The clock was set back", lambda: late.advance(now() - timedelta(hours=1)))
        if (Tree.objects.count(), Checkpoint.objects.count()) != before:
            raise NotCaughtError("it went on")
    return f"{said}, nothing is signed"


@attack
def set_the_witness_clock_back(world):
    """The witness's clock is set back an hour"""
    state = world.home / "witness-behind"
    shutil.copytree(world.home / "witness" / "state", state)
    note = httpx.get(f"{party().url}/{witness.folder_of(proofs.origin(GOVERNANCE))}/checkpoint").text
    own = notes.Note.parse(note)
    request = witnessing.Request(
        notes.Checkpoint.parse(own.text).size, [], str(notes.Note(own.text, own.signatures[:1]))
    )
    behind = witness.Witness(
        signers=keys.signers(world.home / "witness" / "witness.key"),
        logs=[proofs.verifier(log) for log in LOGS],
        state=state,
        clock=lambda: time.time() - 3600,
    )
    try:
        said = refused(Unavailable, "The clock of this witness", lambda: behind.add(str(request).encode()))
    finally:
        shutil.rmtree(state)
    return f"witness {said}, nothing is cosigned"


@attack
def date_an_entry_back(world):
    """The app's role enters something as another writer's next, dated an hour back"""
    slip_in(world, ahead=1, ago=timedelta(hours=1))
    return verify_log(GOVERNANCE, "its time goes back")
