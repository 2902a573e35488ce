"""Trust policies: who is believed, how many must have cosigned, and no second way to write it."""

import pytest

from registry.refusals import Mismatch
from registry.tlog import vkeys
from registry.tlog.trust import Policy
from tests.logs import NOON, Log, flipped, witness_key

LOG = Log.of(5)
OTHER = Log.of(5, "other", origin="example.com/other", seed=2)
KEYS = [witness_key(f"witness.example/{number}", number) for number in range(1, 7)]
L, W = f"log {LOG.signer.verifier}", [key.verifier for key in KEYS]
# The example of tlog-policy, its keys filled in.
EXAMPLE = f"""{L}

witness X1 {W[0]}
witness X2 {W[1]}
witness X3 {W[2]}
group X-witnesses 2 X1 X2 X3

witness Y1 {W[3]}
witness Y2 {W[4]}
witness Y3 {W[5]}
group Y-witnesses any Y1 Y2 Y3

group X-and-Y all X-witnesses Y-witnesses
quorum X-and-Y
"""


@pytest.mark.parametrize(
    ("signers", "enough"),
    [
        ((0, 1, 3), True),
        ((0, 2, 5), True),
        ((0, 1, 2, 3, 4, 5), True),
        ((0, 1, 2), False),
        ((0, 3, 4, 5), False),
        ((3, 4), False),
        ((), False),
    ],
)
def test_the_example_of_the_format_asks_for_two_of_x_and_one_of_y(signers, enough):
    note, policy = LOG.note(5, *(KEYS[number] for number in signers)), Policy.parse(EXAMPLE.encode())
    if enough:
        trusted = policy.verify(note)
        assert trusted.checkpoint == LOG.checkpoint()
        assert set(trusted.cosigners.values()) == {NOON}
        assert len(trusted.cosigners) == len(signers)
    else:
        with pytest.raises(Mismatch, match="quorum 'X-and-Y' is not reached"):
            policy.verify(note)


def test_any_listed_log_is_believed_and_no_other():
    policy = Policy.parse(f"{L}\nlog {OTHER.signer.verifier} https://example.com/\nquorum none".encode())
    assert [policy.verify(log.note()).checkpoint.origin for log in (LOG, OTHER)] == ["example.com/log", OTHER.origin]
    assert policy.logs[1].url == "https://example.com/"
    stranger = Log.of(5, origin="example.com/stranger", seed=3)
    for note in (stranger.note(), Log.of(5, seed=9).note()):  # another origin; the right origin, another key
        with pytest.raises(Mismatch, match="no log named|no signature"):
            policy.verify(note)


def test_a_log_cannot_sign_in_the_name_of_another():
    policy = Policy.parse(f"{L}\nlog {OTHER.signer.verifier}\nquorum none".encode())
    forged = Log.of(5)
    forged.signer = OTHER.signer
    with pytest.raises(Mismatch, match="no signature by the log example.com/log"):
        policy.verify(forged.note())


def test_a_false_cosignature_spoils_the_note_even_where_the_quorum_is_reached():
    policy = Policy.parse(LOG.policy(KEYS[0], KEYS[1], quorum="any"))
    lines = LOG.note(5, KEYS[0], KEYS[1]).splitlines(keepends=True)
    policy.verify("".join(lines))
    false = LOG.note(4, KEYS[1]).splitlines(keepends=True)[-1]
    with pytest.raises(Mismatch, match="does not belong"):
        policy.verify("".join([*lines[:-1], false]))


def test_a_cosignature_without_time_is_refused():
    witness = witness_key(kind=vkeys.MLDSA44)
    policy = Policy.parse(LOG.policy(witness))
    policy.verify(LOG.note(5, witness))
    with pytest.raises(Mismatch, match="no time"):
        policy.verify(LOG.note(5, witness, time=0))


def test_a_log_that_signs_with_ml_dsa_alone_is_believed():
    log = Log.of(5)
    log.signer = vkeys.Signer(log.origin, bytes(32), vkeys.MLDSA44)
    assert Policy.parse(log.policy(KEYS[0])).verify(log.note(5, KEYS[0])).cosigners == {"w1": NOON}


def test_every_flipped_bit_of_a_cosigned_note_is_refused():
    policy = Policy.parse(LOG.policy(KEYS[0]))
    note = LOG.note(5, KEYS[0]).encode()
    for bit in range(len(note) * 8):
        with pytest.raises(Mismatch):
            policy.verify(flipped(note, bit))


def test_names_are_octets_and_blanks_are_spaces_and_tabs():
    name = b"K\xe2\x84\xaa\x80"
    policy = Policy.parse(b"\n # comment\n\twitness \t%s  %s  \n\n  quorum\t%s" % (name, str(W[0]).encode(), name))
    assert policy.quorum == name.decode(errors="surrogateescape")


def test_words_of_the_format_can_be_names():
    policy = Policy.parse(f"witness all {W[0]}\nwitness any {W[1]}\ngroup group 2 all any\nquorum group\n".encode())
    assert policy.satisfied(["all", "any"])
    assert not policy.satisfied(["all"])


@pytest.mark.parametrize(
    "text",
    [
        "quorum none\n\x01",
        "quorum none\r\n",
        "quorum none\x7f\n",
        "quibble w1\nquorum none\n",
        f"witness w1 {W[0]} https://w1.example/ # comment\nquorum w1\n",
        "log\nquorum none\n",
        "log garbage\nquorum none\n",
        f"log {W[0]}\nquorum none\n",
        f"{L}\n{L} https://example.com/\nquorum none\n",
        "witness w1\nquorum none\n",
        f"witness w1 {LOG.signer.verifier}\nquorum w1\n",
        f"witness none {W[0]}\nquorum none\n",
        f"witness w1 {W[0]}\nwitness w1 {W[1]}\nquorum w1\n",
        f"witness w1 {W[0]}\nwitness w2 {vkeys.Verifier('impostor', W[0].public, vkeys.COSIGNATURE)}\nquorum w1\n",
        f"witness w1 {W[0]}\ngroup w1 any w1\nquorum w1\n",
        f"witness w1 {W[0]}\ngroup g 1\nquorum w1\n",
        f"witness w1 {W[0]}\ngroup none any w1\nquorum none\n",
        *(f"witness w1 {W[0]}\ngroup g {number} w1\nquorum g\n" for number in ("0", "-1", "2", "+1", "01", "1_0", "١")),
        f"witness w1 {W[0]}\ngroup g any w2\nquorum g\n",
        f"group g any w1\nwitness w1 {W[0]}\nquorum g\n",
        f"witness w1 {W[0]}\ngroup g any none w1\nquorum g\n",
        f"witness w1 {W[0]}\ngroup g all w1 w1\nquorum g\n",
        f"witness w1 {W[0]}\nwitness w2 {W[1]}\ngroup g any w1 w2\ngroup h any w1\nquorum g\n",
        f"witness w1 {W[0]}\ngroup g any g\nquorum g\n",
        f"witness w1 {W[0]}\n",
        f"witness w1 {W[0]}\nquorum w1\nquorum w1\n",
        "quorum unknown\n",
        f"quorum w1\nwitness w1 {W[0]}\n",
        "quorum\n",
        "",
        "#" * 1_000_001,
    ],
)
def test_a_policy_in_another_form_is_refused(text):  # most of them from the tests of transparency-dev/formats
    with pytest.raises(Mismatch):
        Policy.parse(text.encode())


def test_a_large_policy_is_read():
    lines = [f"log {vkeys.Signer(f'log{n}', bytes([n]) * 32).verifier}" for n in range(40)]
    lines += [f"witness w{n} {witness_key(f'w{n}', 100 + n).verifier}\ngroup g{n} all w{n}" for n in range(40)]
    lines += [f"group top 40 {' '.join(f'g{n}' for n in range(40))}", "quorum top"]
    policy = Policy.parse("\n".join(lines).encode())
    assert policy.satisfied([f"w{n}" for n in range(40)])
    assert not policy.satisfied([f"w{n}" for n in range(39)])
