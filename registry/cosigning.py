"""Ask the witnesses of the log's trust policy to cosign a head, and keep what they sign (c2sp.org/tlog-witness).

A witness that says the head contradicts what it saw before is an alarm, never a reason to try again. One that does not
answer is asked again later: the log goes on, and its standing shows for how long no quorum has cosigned.
"""

import logging
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime

import httpx

from registry import breaches, heads, proofs
from registry.models import Breach, BreachAnswer, Cosignature, Tree
from registry.refusals import Mismatch
from registry.tlog import merkle, notes, trust, witnessing

PATIENCE = 2.0  # seconds that a witness may take: the checkpoint waits so long at most
_PAUSE = 5.0  # seconds until a witness that did not answer is asked again
_UNWILLING = (403, 404)  # it does not know our log or our key: for its operator and ours to settle

log = logging.getLogger(__name__)


@dataclass
class _Witness:
    """What we know of a witness: the size it saw last, and when it may be asked again (monotonic seconds)."""

    name: str
    party: trust.Party
    seen: int
    due: float = 0.0
    alarm: Breach | None = None  # its objection: it is not asked again before a person has answered that

    def may_be_asked(self) -> bool:
        """Say whether it is time to ask, and no objection of it stands."""
        if time.monotonic() < self.due:
            return False
        if self.alarm and not BreachAnswer.objects.filter(breach=self.alarm).exists():
            self.due = time.monotonic() + _PAUSE
            return False
        self.alarm = None
        return True


class Witnesses:
    """The witnesses of one log, asked by its sequencer."""

    def __init__(self, log: str) -> None:
        self._log = log
        trusted = heads.policy()
        parties = trusted.witnesses if trusted else {}
        self._all = [_Witness(name, party, self._seen(name)) for name, party in parties.items() if party.url]
        self._client = httpx.Client(timeout=PATIENCE)

    def _seen(self, name: str) -> int:
        sizes = Cosignature.objects.filter(tree__log=self._log, witness=name).order_by("-tree__size")
        return sizes.values_list("tree__size", flat=True).first() or 0

    def cosign(self, tree: Tree, note: str, now: datetime) -> tuple[str, bool]:
        """Return the cosignature lines under a head, and whether every witness has cosigned it."""
        have = set(tree.cosignatures.values_list("witness", flat=True))
        asked = [w for w in self._all if w.name not in have and w.may_be_asked()]
        for _ in range(2):  # a second time for those that told a size of ours that they saw last
            asked = self._ask(asked, tree, note, now)
        found = tree.cosignatures.order_by("id").values_list("line", flat=True)
        return "".join(found), len(found) >= len(self._all)

    def _ask(self, asked: Iterable[_Witness], tree: Tree, note: str, now: datetime) -> list[_Witness]:
        asked = list(asked)
        stored = proofs.StoredTree(self._log)
        bodies = [
            witnessing.Request(
                w.seen, merkle.consistency_proof(w.seen, tree.size, stored.subtree) if w.seen else [], note
            )
            for w in asked
        ]
        again = []
        with ThreadPoolExecutor(max(len(asked), 1)) as pool:
            for witness, answer in zip(asked, pool.map(self._post, asked, bodies), strict=True):
                if self._heard(witness, answer, tree, note, now):
                    again.append(witness)
        return again

    def _post(self, witness: _Witness, request: witnessing.Request) -> httpx.Response | None:
        try:
            return self._client.post(
                f"{str(witness.party.url).rstrip('/')}/add-checkpoint", content=str(request).encode()
            )
        except httpx.HTTPError:
            return None

    def _heard(self, witness: _Witness, answer: httpx.Response | None, tree: Tree, note: str, now: datetime) -> bool:
        """Take in an answer; return whether to ask once more at once."""
        witness.due = time.monotonic() + _PAUSE
        if answer is None or answer.status_code >= 500 or answer.status_code in _UNWILLING:
            said = "nothing" if answer is None else answer.status_code
            log.warning("witness %s of the %s log answered %s", witness.name, self._log, said)
            return False
        try:
            if answer.status_code == 200:
                self._keep(witness, answer.content, tree, note)
                return False
            witness.seen = self._known(answer, tree)
        except Mismatch as mismatch:
            detail = f"Witness {witness.name} answered {answer.status_code}: {mismatch.detail}"
            witness.alarm = breaches.record(log=self._log, kind="witness", detail=detail, now=now)
            return False
        return True

    def _keep(self, witness: _Witness, body: bytes, tree: Tree, note: str) -> None:
        """Keep the lines that this witness's key signed; Mismatch when there is none, or it does not verify."""
        key, text = witness.party.key, notes.Note.parse(note).text
        for line in witnessing.cosignatures(body, text, [key]):
            at = datetime.fromtimestamp(line.check(key, text), UTC)
            Cosignature.objects.get_or_create(tree=tree, witness=witness.name, defaults={"line": str(line), "at": at})
            witness.seen = tree.size
            return
        raise Mismatch("it holds no cosignature by the key of this witness.")

    def _known(self, answer: httpx.Response, tree: Tree) -> int:
        """Return the size that a witness saw last, if that is a head of ours; Mismatch for every other objection."""
        size = witnessing.told_size(answer.headers.get("Content-Type", ""), answer.content)
        if answer.status_code != 409 or size is None:
            raise Mismatch("it holds our head for one that contradicts what it saw before.")
        if size > tree.size or (size and not Tree.objects.filter(log=self._log, size=size).exists()):
            raise Mismatch(
                f"it saw a head of {size} entries last, which is none of ours: the log was rolled back or forked."
            )
        return size
