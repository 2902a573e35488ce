"""Ask the witnesses of the log's trust policy to cosign a head, and keep what they sign (c2sp.org/tlog-witness).

A witness that says the head contradicts what it saw before is an alarm, never a reason to try again. One that does not
answer is asked again later: the log goes on, and its standing shows for how long no quorum has cosigned.
"""

import logging
import time
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from datetime import UTC, datetime

import httpx

from registry import breaches, heads, proofs
from registry.models import Breach, BreachAnswer, Cosignature, Tree
from registry.refusals import Mismatch
from registry.tlog import merkle, notes, trust, witnessing

PATIENCE = 2.0  # seconds that a witness may take: the checkpoint waits so long at most
_PAUSE = 5.0  # seconds until a witness that did not answer is asked again
_AHEAD = 86_400.0  # seconds that a witness's clock may be ahead of ours
_OBJECTIONS = (400, 409, 422)  # all else is for its operator and ours to settle: it does not know our log, or is ill
_OBJECTION = "witness"  # the kind of breach

log = logging.getLogger(__name__)


@dataclass
class _Witness:
    """What we know of a witness: the size it saw last, and when it may be asked again (monotonic seconds)."""

    name: str
    party: trust.Party
    seen: int
    alarm: Breach | None  # its objection: it is not asked again before a person has answered that
    due: float = 0.0
    asking: Future[httpx.Response | None] | None = None

    def may_be_asked(self) -> bool:
        """Say whether it is time to ask: no answer is owed to us, and no objection stands."""
        if time.monotonic() < self.due or (self.asking and not self.asking.done()):
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
        self._all = [self._known(name, party) for name, party in parties.items() if party.url]
        self._client = httpx.Client(timeout=PATIENCE)
        self._pool = ThreadPoolExecutor(max(len(self._all), 1))

    def _known(self, name: str, party: trust.Party) -> _Witness:
        sizes = Cosignature.objects.filter(tree__log=self._log, witness=name).order_by("-tree__size")
        objections = breaches.unanswered(self._log).filter(kind=_OBJECTION, facts__witness=name)
        return _Witness(name, party, sizes.values_list("tree__size", flat=True).first() or 0, objections.first())

    def cosign(self, tree: Tree, note: str, now: datetime) -> tuple[str, bool]:
        """Return the cosignature lines under a head, and whether every witness has cosigned it."""
        have = self._sound(tree, note, now)
        asked = [witness for witness in self._all if witness.name not in have and witness.may_be_asked()]
        for _ in range(2):  # a second time for those that told a size of ours that they saw last
            asked = self._ask(asked, tree, note, now)
        have = self._sound(tree, note, now)
        return "".join(have.values()), len(have) >= len(self._all)

    def _sound(self, tree: Tree, note: str, now: datetime) -> dict[str, str]:
        """Return the stored lines by witness, in the order they came; one that its key did not sign is a breach."""
        text, found = notes.Note.parse(note).text, {}
        keys = {witness.name: witness.party.key for witness in self._all}
        for name, line in tree.cosignatures.order_by("id").values_list("witness", "line"):
            try:
                if name in keys and witnessing.cosignatures(line.encode(), text, [keys[name]]):
                    found[name] = line
            except Mismatch:
                detail = f"A cosignature that witness {name} did not make stands under the head of {tree.size}."
                breaches.record(log=self._log, kind="cosignature", detail=detail, now=now)
        return found

    def _ask(self, asked: list[_Witness], tree: Tree, note: str, now: datetime) -> list[_Witness]:
        """Ask all at once, for no longer than PATIENCE; return those to ask once more."""
        stored = proofs.StoredTree(self._log)
        for witness in asked:
            old = witness.seen
            proof = merkle.consistency_proof(old, tree.size, stored.subtree) if old else []
            witness.asking = self._pool.submit(self._post, witness.party.url, witnessing.Request(old, proof, note))
        wait([witness.asking for witness in asked if witness.asking], PATIENCE)
        return [witness for witness in asked if self._heard(witness, tree, note, now)]

    def _post(self, url: str | None, request: witnessing.Request) -> httpx.Response | None:
        """Send a request; None when nothing whole and short enough comes back in time."""
        address, end, body = f"{str(url).rstrip('/')}/add-checkpoint", time.monotonic() + PATIENCE, b""
        try:
            with self._client.stream("POST", address, content=str(request).encode()) as answer:
                for chunk in answer.iter_raw():
                    body += chunk
                    if len(body) > witnessing.LARGEST_REQUEST or time.monotonic() > end:
                        return None
        except (httpx.HTTPError, httpx.InvalidURL, ValueError):
            return None
        kind = answer.headers.get("Content-Type", "")
        return httpx.Response(answer.status_code, headers={"Content-Type": kind}, content=body)

    def _heard(self, witness: _Witness, tree: Tree, note: str, now: datetime) -> bool:
        """Take in an answer; return whether to ask once more at once."""
        answer = witness.asking.result() if witness.asking and witness.asking.done() else None
        witness.due = time.monotonic() + _PAUSE
        try:
            if answer is not None and answer.status_code == 200:
                self._keep(witness, answer.content, tree, note, now)
                witness.due = 0.0
            elif answer is not None and answer.status_code in _OBJECTIONS:
                witness.seen = self._told(answer, tree)
                return True
            else:
                said = "nothing" if answer is None else answer.status_code
                log.warning("witness %s of the %s log answered %s", witness.name, self._log, said)
        except Mismatch as mismatch:
            detail = f"Witness {witness.name} answered {answer and answer.status_code}: {mismatch.detail}"
            facts = {"witness": witness.name}
            witness.alarm = breaches.record(log=self._log, kind=_OBJECTION, detail=detail, now=now, facts=facts)
        return False

    def _keep(self, witness: _Witness, body: bytes, tree: Tree, note: str, now: datetime) -> None:
        """Keep the line that this witness's key signed; Mismatch when there is none, or it does not verify."""
        key, text = witness.party.key, notes.Note.parse(note).text
        for line in witnessing.cosignatures(body, text, [key]):
            if line.check(key, text) > now.timestamp() + _AHEAD:
                raise Mismatch("its cosignature is dated in the future.")
            at = datetime.fromtimestamp(line.check(key, text), UTC)
            Cosignature.objects.get_or_create(tree=tree, witness=witness.name, defaults={"line": str(line), "at": at})
            witness.seen = tree.size
            return
        raise Mismatch("it holds no cosignature by the key of this witness.")

    def _told(self, answer: httpx.Response, tree: Tree) -> int:
        """Return the size that a witness saw last, if that is a head of ours; Mismatch for every other objection."""
        size = witnessing.told_size(answer.headers.get("Content-Type", ""), answer.content)
        if answer.status_code != 409 or size is None:
            raise Mismatch("it holds our head for one that contradicts what it saw before.")
        if size > tree.size or (size and not Tree.objects.filter(log=self._log, size=size).exists()):
            raise Mismatch(
                f"it saw a head of {size} entries last, which is none of ours: the log was rolled back or forked."
            )
        return size
