"""What a witness may answer: what is asked again, what is an alarm until a person has answered it."""

import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace

import pytest
from django.conf import settings
from django.db import transaction

from registry import breaches, cosigning, heads, keys, ledger, proofs, publishing, sequencing
from registry.ledger import GOVERNANCE
from registry.models import Breach, Cosignature
from registry.refusals import Unavailable
from registry.tlog import trust, vkeys
from registry.tlog.witnessing import SIZE, TEXT, Declined
from registry.witness import Witness
from tests import builders

KEY = vkeys.Signer("witness.example/w", bytes([7]) * 32, vkeys.COSIGNATURE)
OTHER = vkeys.Signer("witness.example/w", bytes([8]) * 32, vkeys.COSIGNATURE)


@pytest.fixture
def told(committed, tmp_path, monkeypatch):
    """A witness that answers what `told.answer` returns for a request; at first honestly."""
    log = keys.verifier(settings.LOG_VKEY_FILE.with_suffix(".governance.vkey"))

    def witness(key, folder):
        return Witness(signers=[key], logs=[log], state=tmp_path / folder)

    mine = SimpleNamespace(asked=[], honest=honestly(witness(KEY, "w")), foreign=honestly(witness(OTHER, "o")))
    mine.answer = mine.honest

    class Answers(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            mine.asked.append(body)
            status, kind, answer = mine.answer(body)
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}"
    (tmp_path / "policy").write_text(f"log {log}\nwitness w {KEY.verifier} {url}\nquorum w\n")
    monkeypatch.setattr(settings, "LOG_POLICY_FILE", tmp_path / "policy")
    monkeypatch.setattr(cosigning, "_PAUSE", 0.0)
    yield mine
    server.shutdown()
    server.server_close()


def honestly(witness):
    def answer(body):
        try:
            return 200, TEXT, witness.add(body).encode()
        except Declined as declined:
            if declined.known is not None:
                return declined.status, SIZE, f"{declined.known}\n".encode()
            return declined.status, TEXT, declined.detail.encode()

    return answer


def always(status, kind=TEXT, body=b"no\n"):
    return lambda _: (status, kind, body)


def enter():
    with transaction.atomic():
        ledger.append("test.done", subject="test:1", actor="test", at=builders.now(), facts={})


def grow(sequencer):
    """Let the log grow by an entry, once nothing that still runs on the server holds it back."""
    enter()
    until = time.monotonic() + 120
    while not sequencer.advance(builders.now()):
        assert time.monotonic() < until
        time.sleep(0.05)


def quorum():
    """Say whether the published head is cosigned as the policy demands."""
    policy = trust.Policy.parse(settings.LOG_POLICY_FILE.read_bytes())
    note = publishing.note(GOVERNANCE)
    head = publishing.newest(GOVERNANCE)
    assert head == sequencing.anchor.newest(GOVERNANCE)  # published whatever the witness says
    try:
        return policy.verify(note).checkpoint == head
    except sequencing.Mismatch:
        return False


def test_each_head_is_cosigned_and_the_answer_kept(told):
    sequencer = sequencing.Sequencer.open(GOVERNANCE)
    for _ in range(3):
        grow(sequencer)
        assert quorum()
        assert heads.cosigned(GOVERNANCE) == sequencer.peaks.size
    assert Cosignature.objects.count() == 3
    asked = len(told.asked)
    sequencer.advance(builders.now())
    assert len(told.asked) == asked  # a head is not cosigned twice


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (always(409), "contradicts what it saw before"),
        (always(409, SIZE, b"x\n"), "contradicts what it saw before"),
        (always(422), "contradicts what it saw before"),
        (always(400), "contradicts what it saw before"),
        (always(409, SIZE, b"999999\n"), "saw a head of 999999 entries last, which is none of ours"),
        (always(409, SIZE, b"1\n"), "saw a head of 1 entries last, which is none of ours"),
        (always(200), ""),
        (always(200, TEXT, b""), ""),
        (always(200, TEXT, bytes(range(256))), ""),
    ],
)
def test_an_objection_is_an_alarm_and_no_reason_to_ask_again(told, answer, words):
    sequencer = sequencing.Sequencer.open(GOVERNANCE)
    grow(sequencer)
    told.answer = answer
    asked = len(told.asked)
    grow(sequencer)
    breach = Breach.objects.get()
    assert (breach.kind, words in breach.detail) == ("witness", True)
    assert not quorum()
    assert len(told.asked) == asked + 1
    told.answer = told.honest
    grow(sequencer)
    assert len(told.asked) == asked + 1
    breaches.answer(breach_id=breach.pk, reason="It was restored.", by="user:1", now=builders.now())
    grow(sequencer)
    assert quorum()


def test_a_cosignature_by_another_key_is_an_alarm(told):
    told.answer = told.foreign
    grow(sequencing.Sequencer.open(GOVERNANCE))
    assert "no cosignature by the key of this witness" in Breach.objects.get().detail
    assert not Cosignature.objects.exists()
    assert not quorum()


@pytest.mark.parametrize("status", [302, 403, 404, 500, 503])
def test_who_cannot_answer_is_asked_again_and_no_alarm(told, status):
    sequencer = sequencing.Sequencer.open(GOVERNANCE)
    told.answer = always(status)
    grow(sequencer)
    assert not quorum()
    told.answer = told.honest
    sequencer.advance(builders.now())
    assert quorum()
    assert not Breach.objects.exists()


def test_who_is_slow_holds_the_checkpoint_up_no_longer_than_it_may(told, monkeypatch):
    monkeypatch.setattr(cosigning, "PATIENCE", 0.3)
    sequencer = sequencing.Sequencer.open(GOVERNANCE)

    def slowly(body):
        time.sleep(1.0)
        return told.honest(body)

    told.answer = slowly
    enter()
    builders.settle_transactions()
    begun = time.monotonic()
    assert sequencer.advance(builders.now())
    assert time.monotonic() - begun < 5
    assert not quorum()
    time.sleep(1.0)  # the witness has cosigned meanwhile; only its answer was not heard
    told.answer = told.honest
    sequencer.advance(builders.now())
    assert quorum()
    assert not Breach.objects.exists()


def test_a_witness_that_saw_a_head_whose_answer_was_lost_is_asked_at_once_from_there(told):
    sequencer = sequencing.Sequencer.open(GOVERNANCE)
    grow(sequencer)

    def heard_not(body):
        told.honest(body)
        return 500, TEXT, b"no\n"

    told.answer = heard_not
    grow(sequencer)
    told.answer = told.honest
    asked = len(told.asked)
    grow(sequencer)
    assert len(told.asked) == asked + 2  # 409 with a size of ours, then 200
    assert quorum()
    assert not Breach.objects.exists()


def test_nobody_is_hurried_and_nobody_waits_for_a_silent_witness(told, monkeypatch):
    monkeypatch.setattr(cosigning, "_PAUSE", 3600.0)
    sequencer = sequencing.Sequencer.open(GOVERNANCE)
    told.answer = always(503)
    grow(sequencer)
    asked = len(told.asked)
    grow(sequencer)
    assert len(told.asked) == asked
    assert publishing.newest(GOVERNANCE).size == sequencer.peaks.size


def test_a_witness_that_is_gone_is_no_alarm(told, committed):
    text = settings.LOG_POLICY_FILE.read_text().replace("http://127.0.0.1:", "http://127.0.0.1:1/")
    settings.LOG_POLICY_FILE.write_text(text)
    sequencer = sequencing.Sequencer.open(GOVERNANCE)
    grow(sequencer)
    assert not quorum()
    assert not Breach.objects.exists()


def test_before_the_first_head_there_is_nothing_to_prove_under(told):
    with pytest.raises(Unavailable, match="no checkpoint yet"):
        heads.latest(GOVERNANCE)
    assert proofs.origin(GOVERNANCE).endswith("/governance")
