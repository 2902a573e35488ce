"""How a witness decides, without a socket: the cases of the protocol, and requests that others wrote."""

import re

import pytest

from registry.refusals import Mismatch, Unavailable
from registry.tlog import notes, vkeys, witnessing
from registry.tlog.witnessing import Declined, Forked, Request, Submission
from registry.witness import Witness, folder_of
from tests.logs import NOON, Log, flipped, witness_key

LOG, FORK = Log.of(40), Log.of(40, "other")
KEY = witness_key()
# From internal/witness/witness_test.go of FiloSottile/torchwood: a sigsum log grows from 1 to 3 and to 5 entries.
SIGSUM = "sigsum.org/v1/tree/4d6d8825a6bb689d459628312889dfbb0bcd41b5211d9e1ce768b0ff0309e562"
SIGSUM_KEY = bytes.fromhex("ffdc2d4d98e4124d3feaf788c0c2f9abfd796083d1f0495437f302ec79cf100f")
SIGSUM_REQUESTS = [
    f"""old 0

{SIGSUM}
1
KgAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=

— {SIGSUM} UgIom7fPZTqpxWWhyjWduBvTvGVqsokMbqTArsQilegKoFBJQjUFAmQ0+YeSPM3wfUQMFSzVnnNuWRTYrajXpNUbIQY=
""",
    f"""old 1
KgEAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=
KgIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=

{SIGSUM}
3
RcCI1Nk56ZcSmIEfIn0SleqtV7uvrlXNccFx595Iwl0=

— {SIGSUM} UgIom2VbtIcdFbwFAy1n7s6IkAxIY6J/GQOTuZF2ORV39d75cbAj2aQYwyJre36kezNobZs4SUUdrcawfAB8WVrx6go=
""",
    f"""old 1
KgEAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=
+fUDV+k970B4I3uKrqJM4aP1lloPZP8mvr2Z4wRw2LI=
KgQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=

{SIGSUM}
5
QrtXrQZCCvpIgsSmOsah7HdICzMLLyDfxToMql9WTjY=

— {SIGSUM} UgIomw/EOJmWi0i1FQsOj+etB7F8IccFam/jgd6wzRns4QPVmyEZtdvl1U2KEmLOZ/ASRcWJi0tW90dJWAShei7sDww=
""",
]


def decide(body, known, *logs):
    keys = {log.origin: [log.signer.verifier] for log in logs or (LOG,)}
    submission = Submission.accept(body.encode(), lambda origin: keys.get(origin, []))
    submission.judge(known)
    return submission


def status(body, known=None, *logs):
    try:
        decide(body, known, *logs)
    except Declined as declined:
        return declined.status
    return 200


def test_requests_of_another_log_are_cosigned():
    key = vkeys.Verifier(SIGSUM, SIGSUM_KEY)
    first, *later = (Submission.accept(body.encode(), lambda origin: [key]) for body in SIGSUM_REQUESTS)
    first.judge(None)
    for submission in later:
        submission.judge(first.checkpoint)
    assert [submission.checkpoint.size for submission in later] == [3, 5]
    with pytest.raises(Declined, match="cosigned last has size 5"):
        later[0].judge(later[1].checkpoint)
    assert [str(Request.parse(body)) for body in SIGSUM_REQUESTS] == SIGSUM_REQUESTS


def test_every_growth_is_cosigned():
    for old in range(20):
        for new in range(old, 20):
            assert status(LOG.request(old, new), LOG.checkpoint(old)) == 200


EMPTY_LIE = notes.sign(str(notes.Checkpoint(LOG.origin, 0, bytes(32))), LOG.signer)
PROOF_LINE = "A" * 43 + "="


@pytest.mark.parametrize(
    ("body", "known", "expected"),
    [
        (LOG.request(0, 5), None, 200),
        (LOG.request(0, 0), None, 200),
        (LOG.request(5, 5), LOG.checkpoint(5), 200),
        (LOG.request(5, 9), LOG.checkpoint(5), 200),
        (LOG.request(5, 9), None, 409),
        (LOG.request(0, 9), LOG.checkpoint(5), 409),
        (LOG.request(4, 4), LOG.checkpoint(5), 409),  # back to a smaller tree
        (LOG.request(5, 9).replace("old 5", "old 9"), LOG.checkpoint(9), 422),  # a proof where none belongs
        (LOG.request(5, 9).replace("old 5", "old 6"), LOG.checkpoint(6), 422),
        (LOG.request(5, 9).replace("old 5", "old 10"), LOG.checkpoint(10), 400),
        (f"old 0\n{PROOF_LINE}\n\n{LOG.note(5)}", None, 422),
        (f"old 0\n\n{EMPTY_LIE}", None, 422),
        (f"old 5\n\n{LOG.note(9)}", LOG.checkpoint(5), 422),  # growth without proof
        (FORK.request(5, 5), LOG.checkpoint(5), 422),
        (FORK.request(5, 9), LOG.checkpoint(5), 422),
        (Log.of(5, origin="example.com/stranger").request(0, 5), None, 404),
        (Log.of(5, seed=9).request(0, 5), None, 403),
        (f"old 0\n\n{LOG.note(5)}".replace("\n5\n", "\n6\n"), None, 403),
        (LOG.request(0, 5) + Log.of(4).note().split("\n\n")[1], None, 403),  # a good and a false line of the log
        ("", None, 400),
        ("old 0\n", None, 400),
        (LOG.note(5), None, 400),
        (LOG.request(0, 5).replace("\n\n", "\n", 1), None, 400),
        (f"old 0\n{(PROOF_LINE + chr(10)) * 64}\n{LOG.note(5)}", None, 400),
        (f"old 0\n{PROOF_LINE[:-1]}\n\n{LOG.note(5)}", None, 400),
        (f"old 0\nAAAA\n\n{LOG.note(5)}", None, 400),
        (LOG.request(0, 5).replace("\n", "\r\n"), None, 400),
        *(
            (LOG.request(0, 5).replace("old 0", f"old {size}"), None, 400)
            for size in ("+0", "00", "", "0_0", "٠", " 0")
        ),
        (f"old 0\n\n{notes.sign(str(LOG.checkpoint(5)) + 'extension' + chr(10), LOG.signer)}", None, 400),
    ],
)
def test_a_request_gets_the_status_of_the_protocol(body, known, expected):
    assert status(body, known) == expected


def test_a_conflict_says_the_known_size():
    with pytest.raises(Declined) as declined:
        decide(LOG.request(3, 9), LOG.checkpoint(5))
    assert (declined.value.status, declined.value.known) == (409, 5)
    assert witnessing.told_size("text/x.tlog.size", b"5\n") == 5
    for kind, answer in [("text/plain", b"5\n"), ("text/x.tlog.size", b"5"), ("text/x.tlog.size", b"05\n")]:
        assert witnessing.told_size(kind, answer) is None


def test_a_fork_is_told_apart():
    with pytest.raises(Forked):
        decide(FORK.request(5, 5), LOG.checkpoint(5))
    with pytest.raises(Declined) as declined:
        decide(FORK.request(5, 9), LOG.checkpoint(5))
    assert not isinstance(declined.value, Forked)


def test_every_flipped_bit_of_a_request_is_declined():
    data = LOG.request(5, 9).encode()
    for bit in range(len(data) * 8):
        with pytest.raises(Declined):
            Submission.accept(flipped(data, bit), lambda origin: [LOG.signer.verifier] * (origin == LOG.origin)).judge(
                LOG.checkpoint(5)
            )


@pytest.fixture
def witness(tmp_path):
    return Witness(signers=[KEY], logs=[LOG.signer.verifier], state=tmp_path, clock=lambda: NOON + 0.5)


def kept(witness):
    return {path.relative_to(witness.state): path.read_bytes() for path in witness.state.rglob("*") if path.is_file()}


def add(witness, log, old, new):
    return witness.add(log.request(old, new).encode())


def test_an_answer_is_read_by_the_log(witness):
    answer, text = add(witness, LOG, 0, 5).encode(), str(LOG.checkpoint(5)).encode()
    (line,) = witnessing.cosignatures(answer, text, [KEY.verifier])
    assert line.check(KEY.verifier, text) == NOON
    strange = str(notes.Signature.by(witness_key("w", 9), text, NOON)).encode()
    assert witnessing.cosignatures(strange + answer, text, [KEY.verifier]) == [line]
    assert witnessing.cosignatures(strange, text, [KEY.verifier]) == []
    for wrong in (b"", answer[:-1], b"\n" + answer, answer + b"\n", answer + b"more\n"):
        with pytest.raises(Mismatch):
            witnessing.cosignatures(wrong, text, [KEY.verifier])
    with pytest.raises(Mismatch, match="does not belong"):
        witnessing.cosignatures(answer, str(LOG.checkpoint(6)).encode(), [KEY.verifier])
    timeless = str(notes.Signature.by(witness_key(kind=vkeys.MLDSA44), text, 0)).encode()
    with pytest.raises(Mismatch, match="no time"):
        witnessing.cosignatures(timeless, text, [witness_key(kind=vkeys.MLDSA44).verifier])


def test_the_state_is_the_cosigned_note_without_lines_of_strangers(witness):
    witness.add(f"{LOG.request(0, 5)}{FORK.note(5, witness_key('stranger', 3)).splitlines()[-1]}\n".encode())
    note = notes.Note.parse(witness.latest(folder_of(LOG.origin)))
    assert [line.name for line in note.signatures] == [LOG.origin, KEY.name]
    assert note.signed_by(KEY.verifier) == [NOON]
    assert witness.latest(folder_of("example.com/stranger")) is None
    assert witness.latest("../../etc") is None


def test_a_witness_with_two_keys_gives_two_lines(tmp_path):
    keys = [vkeys.Signer("w", bytes(32)), witness_key("w", kind=vkeys.MLDSA44)]
    witness = Witness(signers=keys, logs=[LOG.signer.verifier], state=tmp_path, clock=lambda: NOON)
    answer = add(witness, LOG, 0, 5).encode()
    public = [key.verifier for key in witness.signers]
    assert [key.kind for key in public] == [vkeys.COSIGNATURE, vkeys.MLDSA44]
    assert len(witnessing.cosignatures(answer, str(LOG.checkpoint(5)).encode(), public)) == 2


def test_a_clock_set_back_stops_the_witness_for_every_log(tmp_path):
    clock = [NOON]
    second = Log.of(5, origin="example.com/second")
    logs = [LOG.signer.verifier, second.signer.verifier]
    witness = Witness(signers=[KEY], logs=logs, state=tmp_path, clock=lambda: clock[0])
    add(witness, LOG, 0, 5)
    before = kept(witness)
    clock[0] -= 1
    for log, old, new in ((LOG, 5, 9), (LOG, 5, 5), (second, 0, 5)):
        with pytest.raises(Unavailable, match="clock"):
            add(witness, log, old, new)
        assert {path: data for path, data in kept(witness).items() if path.name != "lock"} == {
            path: data for path, data in before.items() if path.name != "lock"
        }
    clock[0] += 1
    add(witness, LOG, 5, 9)


def test_the_same_head_is_cosigned_again_with_the_new_time(tmp_path):
    clock = [NOON]
    witness = Witness(signers=[KEY], logs=[LOG.signer.verifier], state=tmp_path, clock=lambda: clock[0])
    add(witness, LOG, 0, 5)
    clock[0] += 60
    add(witness, LOG, 5, 5)
    assert notes.Note.parse(witness.latest(folder_of(LOG.origin))).signed_by(KEY.verifier) == [NOON + 60]


def test_two_signed_trees_of_one_size_are_kept_as_evidence(witness):
    add(witness, LOG, 0, 5)
    with pytest.raises(Forked):
        add(witness, FORK, 5, 5)
    evidence = witness.state / folder_of(LOG.origin) / f"fork-5-{FORK.root(5).hex()}"
    assert notes.open_checkpoint(evidence.read_bytes(), LOG.signer.verifier) == FORK.checkpoint(5)
    assert "\n5\n" in witness.latest(folder_of(LOG.origin))


@pytest.mark.parametrize(
    "damage", [lambda data: b"", lambda data: data[:-1], lambda data: data.replace(b"log\n", b"lag\n")]
)
def test_a_damaged_state_is_not_taken_for_a_new_log(witness, damage):
    add(witness, LOG, 0, 5)
    path = witness.state / folder_of(LOG.origin) / "checkpoint"
    path.write_bytes(damage(path.read_bytes()))
    before = kept(witness)
    for old in (0, 5):
        with pytest.raises((Unavailable, Mismatch)):
            add(witness, LOG, old, 9)
    assert kept(witness) == before


def test_a_log_with_two_keys_may_sign_with_either(tmp_path):
    successor = Log.of(9)
    successor.signer = vkeys.Signer(LOG.origin, bytes([3]) * 32)
    witness = Witness(
        signers=[KEY], logs=[LOG.signer.verifier, successor.signer.verifier], state=tmp_path, clock=lambda: NOON
    )
    add(witness, LOG, 0, 5)
    assert re.match("— witness.example/w1 ", add(witness, successor, 5, 9))
