"""Whatever bytes somebody sends, a parser answers with a Mismatch or takes them: nothing else ever comes out."""

from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from registry.refusals import Mismatch
from registry.tlog import notes, tiles, vkeys
from registry.tlog.proof_files import ProofFile
from registry.tlog.trust import Policy
from registry.tlog.witnessing import Declined, Submission, cosignatures, told_size
from registry.tlog.writers import Writers
from tests.logs import Log, witness_key
from tests.registry.test_writers import accepted, entry

LOG, WITNESS = Log.of(9), witness_key()
TEXT = str(LOG.checkpoint()).encode()
POLICY = Policy.parse(LOG.policy(WITNESS))
MLDSA = vkeys.Signer(LOG.origin, bytes(32), vkeys.MLDSA44)


def text(parse):
    return lambda data: parse(data.decode(errors="surrogateescape"))


PARSERS = {
    "policy": (Policy.parse, LOG.policy(WITNESS)),
    "note": (POLICY.verify, LOG.note(9, WITNESS).encode()),
    "mldsa": (lambda data: notes.open_checkpoint(data, MLDSA.verifier), notes.sign(TEXT.decode(), MLDSA).encode()),
    "checkpoint": (notes.Checkpoint.parse, TEXT),
    "proof": (ProofFile.parse, LOG.proof_file(3, WITNESS).encode()),
    "request": (lambda data: Submission.accept(data, POLICY.log_keys), LOG.request(3, 9).encode()),
    "answer": (
        lambda data: cosignatures(data, TEXT, [WITNESS.verifier]),
        str(notes.Signature.by(WITNESS, TEXT, 5)).encode(),
    ),
    "size": (lambda data: told_size("text/x.tlog.size", data), b"17\n"),
    "bundle": (tiles.unbundle, tiles.bundle(LOG.entries)),
    "tile": (tiles.split, b"".join(LOG.hashes)),
    "path": (text(tiles.Tile.parse), b"tile/entries/x001/000.p/7"),
    "vkey": (text(vkeys.Verifier.parse), str(WITNESS.verifier).encode()),
    "private": (text(vkeys.Signer.parse), str(WITNESS).encode()),
    "entry": (lambda data: Writers(recall=lambda writer: 1).feed(data), entry("w1", 3)),
    "acknowledgement": (lambda data: Writers(recall=lambda writer: 1).feed(data), accepted(1, 3)),
}


@pytest.mark.parametrize("name", PARSERS)
@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_hostile_bytes_are_refused_in_order(name, data):
    parse, good = PARSERS[name]
    parse(good)
    bad = good
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(bad)))
        end = data.draw(st.integers(start, min(len(bad), start + 40)))
        piece = data.draw(
            st.one_of(st.binary(max_size=12), st.sampled_from([b"\n", b"\n\n", b"=", b"+", b"9" * 30, good]))
        )
        bad = bad[:start] + piece + bad[end:]
    with suppress(Mismatch, Declined):
        parse(bad)
