"""The sequencer interrupted at everything it does, before and after it took effect: the next one goes on from there."""

import io
import os
import subprocess
import sys
import threading
from types import SimpleNamespace
from urllib.parse import urlsplit
from wsgiref.simple_server import WSGIRequestHandler, make_server

import pytest
from django.conf import settings
from django.db import OperationalError, connection, transaction

from registry import anchor, keys, ledger, proofs, publishing, sequencing, verification
from registry.models import Breach, Leaf, LedgerEntry
from registry.tlog import directory, trust, vkeys
from registry.witness import Application, Witness
from tests import builders
from tests.faults import OTHERS, Interrupted, Steps, work
from tests.running import ROOT

# (entries published before, entries pending): a new log; a full tile, its parent, and partial files that go
GROWTH = [(0, 3), (254, 5)]


class Silent(WSGIRequestHandler):
    def log_message(self, *_):
        pass


def read_whole(application):
    """Give an application a body that ends, which the server of Python's own library does not."""

    def answer(environ, start):
        environ["wsgi.input"] = io.BytesIO(environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0)))
        return application(environ, start)

    return answer


@pytest.fixture
def world(committed, tmp_path, monkeypatch):
    """A witness that answers, and a function that makes a log which the policy of the moment trusts."""
    key = vkeys.Signer("witness.example/w", bytes([7]) * 32, vkeys.COSIGNATURE)
    witness = Witness(signers=[key], logs=[], state=tmp_path / "state")
    server = make_server("127.0.0.1", 0, read_whole(Application(witness)), handler_class=Silent)
    threading.Thread(target=server.serve_forever, name=OTHERS, daemon=True).start()
    monkeypatch.setattr(settings, "LOG_POLICY_FILE", tmp_path / "policy")
    monkeypatch.setattr(os, "fsync", lambda _: None)  # a killed process loses nothing that the kernel has

    def trust_in(log):
        public = settings.LOG_VKEY_FILE.with_suffix(f".{log}.vkey")
        made = keys.ensure(tmp_path / f"log.{log}.key", public, proofs.origin(log))
        witness.logs[made.name] = [made]
        url = f"http://127.0.0.1:{server.server_port}"
        settings.LOG_POLICY_FILE.write_text(f"log {made}\nwitness w {key.verifier} {url}\nquorum w\n")

    monkeypatch.setattr(settings, "LOG_KEY_FILE", str(tmp_path / "log.key"))
    yield SimpleNamespace(trust_in=trust_in)
    server.shutdown()
    server.server_close()


def enter(log, count):
    with transaction.atomic():
        about = [("test:1", {"number": number}) for number in range(count)]
        ledger.append_all("test.done", about=about, actor="test", at=builders.now(), log=log)


def prepared(world, names, before, pending):
    """Make logs of these names, published up to the same size, with as many entries pending."""
    for log in names:
        enter(log, before)
    builders.settle_transactions()
    for log in names:
        world.trust_in(log)
        if before:
            assert sequencing.Sequencer.open(log).advance(builders.now()) == before
        enter(log, pending)
    builders.settle_transactions()


def published(log):
    """Check that what is published right now is whole, and a beginning of what was vouched for; return its head."""
    head = publishing.newest(log)
    if head:
        anchored = anchor.newest(log)
        assert anchored is not None
        assert head.size < anchored.size or head == anchored
        directory.verify_entries(publishing.folder(log), head)
    return head


def goes_on(log, size):
    """Check that the next sequencer finishes the work, with nothing lost, doubled, unproved or found to be wrong."""
    shown = published(log)
    sequencing.Sequencer.open(log).advance(builders.now())
    assert verification.verify(log) == size
    policy = trust.Policy.parse(settings.LOG_POLICY_FILE.read_bytes())
    trusted, writers = directory.verify(publishing.folder(log), policy)
    assert trusted.checkpoint == anchor.newest(log)
    assert trusted.checkpoint.size == writers.size == size
    assert shown is None or proofs.StoredTree(log).root(shown.size) == shown.root
    placed = list(Leaf.objects.filter(log=log).order_by("index").values_list("entry", flat=True))
    assert placed == list(LedgerEntry.objects.filter(log=log).order_by("id").values_list("id", flat=True))
    assert not Breach.objects.filter(log=log).exists()


def counted(world, log, before, pending):
    """Return the steps of an undisturbed sequencer; it must have done each kind of thing.

    Logs have names of their own in every test: the writer that this thread is counts on from one to the next.
    """
    prepared(world, [f"{log}-0", log], before, pending)
    world.trust_in(f"{log}-0")
    sequencing.Sequencer.open(f"{log}-0").advance(builders.now())  # folders that all logs share are there afterwards
    world.trust_in(log)
    steps = Steps()
    work(log, steps)
    goes_on(log, before + pending)
    kinds = {"ask", "commit", "create", "fsync", "replace"} | ({"mkdir"} if not before else {"unlink", "rmdir"})
    assert kinds <= set(steps.done)
    return steps.done


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize(("before", "pending"), GROWTH)
def test_whatever_was_interrupted_the_next_sequencer_goes_on(world, before, pending, after):
    steps = counted(world, f"fault-{before}-{after}", before, pending)
    names = [f"f{before}-{at}-{after}" for at in range(1, len(steps) + 1)]
    prepared(world, names, before, pending)
    for at, log in enumerate(names, 1):
        world.trust_in(log)
        reached = Steps(at, after=after)
        with pytest.raises((Interrupted, OperationalError)):  # the latter where Django cleans up a session that is gone
            work(log, reached)
        assert reached.ended
        connection.close()
        try:
            goes_on(log, before + pending)
        except Exception as error:
            raise AssertionError(f"{'after' if after else 'before'} step {at}: {steps[at - 1]}") from error


@pytest.mark.parametrize(("before", "pending"), GROWTH)
def test_whenever_it_was_killed_the_next_sequencer_goes_on(world, before, pending):
    steps = counted(world, f"kill-{before}", before, pending)
    wanted = ("commit", "replace", "ask", "rmdir" if before else "mkdir")
    cases = [(steps.index(kind) + 1, when) for kind in wanted for when in ("before", "after")]
    names = [f"k{before}-{at}-{when}" for at, when in cases]
    prepared(world, names, before, pending)
    name = urlsplit(os.environ["DATABASE_URL"])._replace(path=f"/{connection.settings_dict['NAME']}").geturl()
    told = {"DATABASE_URL": name, "DJANGO_SETTINGS_MODULE": "governance.settings", "PROCESS": "sequencer"}
    told |= {"LOG_POLICY_FILE": str(settings.LOG_POLICY_FILE), "LOG_KEY_FILE": settings.LOG_KEY_FILE}
    for log, (at, when) in zip(names, cases, strict=True):
        world.trust_in(log)
        command = [sys.executable, "-m", "tests.faults", log, str(at), when]
        done = subprocess.run(command, cwd=ROOT, env=os.environ | told, capture_output=True, check=False)
        assert done.returncode == -9, done.stderr.decode()[-2000:]
        goes_on(log, before + pending)
