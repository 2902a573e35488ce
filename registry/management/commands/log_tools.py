"""Check a log's signed heads and proofs from files alone: exit 0 or 1, with one line of JSON.

A call that is wrong in itself ends with 2, and says so in such a line too.
"""

import json
from pathlib import Path
from typing import Any, NoReturn

from django.core.management.base import BaseCommand, CommandError, CommandParser

from registry.refusals import Mismatch
from registry.tlog import directory, inputs, merkle, strict
from registry.tlog.checkpoints import Checkpoint
from registry.tlog.inputs import STANDARD_INPUT
from registry.tlog.notes import LARGEST_NOTE, Note
from registry.tlog.proof_files import LARGEST_FILE, ProofFile
from registry.tlog.trust import LARGEST_POLICY, Policy, Trusted

LARGEST_ENTRY = 64 * 1024 * 1024  # bytes: other logs hold hashes of larger things, which are their entries
_FILES = ("policy", "proof", "entry", "old", "new", "note")


class Command(BaseCommand):
    """The tools that an auditor runs on a machine of their own; no database, no environment."""

    help = __doc__
    requires_system_checks: list[str] = []

    def run_from_argv(self, argv: list[str]) -> None:
        """Run as a program, whose caller reads standard output even when the call was wrong."""
        try:
            super().run_from_argv(argv)
        except CommandError as error:
            self._refuse_call(str(error))

    def add_arguments(self, parser: CommandParser) -> None:
        """Accept one of four checks, each with its files; `-` is standard input."""
        parser.called_from_command_line = False  # then a wrong call is a CommandError, not an exit without JSON
        checks = parser.add_subparsers(dest="check", required=True, metavar="CHECK")
        checkpoint = checks.add_parser("verify-checkpoint", help="signatures and quorum of a signed checkpoint")
        checkpoint.add_argument("note", metavar="NOTE")
        inclusion = checks.add_parser("verify-inclusion", help="that an entry is in a log, by a tlog-proof file")
        inclusion.add_argument("--proof", required=True, metavar="FILE")
        inclusion.add_argument("--entry", required=True, metavar="FILE")
        consistency = checks.add_parser("verify-consistency", help="that a later checkpoint extends an earlier one")
        consistency.add_argument("--old", required=True, metavar="NOTE")
        consistency.add_argument("--new", required=True, metavar="NOTE")
        consistency.add_argument("--proof", required=True, metavar="FILE", help="hashes in base64, one a line")
        consistency.add_argument("--policy", metavar="FILE", help="without it, signatures are not verified")
        whole = checks.add_parser("verify-dir", help="every entry and tile of a published log")
        whole.add_argument("directory", metavar="DIR")
        for check in (checkpoint, inclusion, whole):
            check.add_argument("--policy", required=True, metavar="FILE", help="whom to trust (tlog-policy)")

    def handle(self, *args: Any, **options: Any) -> None:
        """Print what was found, or why it is not so."""
        if [options.get(name) for name in _FILES].count(STANDARD_INPUT) > 1:
            self._refuse_call("Only one file can be read from standard input.")
        try:
            found = {"ok": True, **_CHECKS[options["check"]](options)}
        except Mismatch as mismatch:
            found = {"ok": False, "error": mismatch.detail}
        self.stdout.write(json.dumps(found))
        raise SystemExit(0 if found["ok"] else 1)

    def _refuse_call(self, why: str) -> NoReturn:
        self.stderr.write(f"{why} `manage.py log_tools --help` tells the calls.")
        self.stdout.write(json.dumps({"ok": False, "error": why}))
        raise SystemExit(2)


def _policy(options: dict[str, Any]) -> Policy:
    return Policy.parse(inputs.read(options["policy"], LARGEST_POLICY))


def _head(checkpoint: Checkpoint) -> dict[str, Any]:
    return {"origin": checkpoint.origin, "size": checkpoint.size, "root": strict.encode(checkpoint.root)}


def _trusted(trusted: Trusted) -> dict[str, Any]:
    return {**_head(trusted.checkpoint), "cosigners": trusted.cosigners}


def _verify_checkpoint(options: dict[str, Any]) -> dict[str, Any]:
    return _trusted(_policy(options).verify(inputs.read(options["note"], LARGEST_NOTE)))


def _verify_inclusion(options: dict[str, Any]) -> dict[str, Any]:
    proof = ProofFile.parse(inputs.read(options["proof"], LARGEST_FILE))
    trusted = _policy(options).verify(proof.note)
    entry = inputs.read(options["entry"], LARGEST_ENTRY)
    proof.verify(entry, trusted.checkpoint)
    return {**_trusted(trusted), "index": proof.index, "leaf": strict.encode(merkle.leaf_hash(entry))}


def _verify_consistency(options: dict[str, Any]) -> dict[str, Any]:
    notes = [inputs.read(options[name], LARGEST_NOTE) for name in ("old", "new")]
    if options["policy"] is None:
        signatures = "not verified"
        old, new = (Checkpoint.parse(Note.parse(note).text) for note in notes)
    else:
        signatures, policy = "verified", _policy(options)
        old, new = (policy.verify(note).checkpoint for note in notes)
    if old.origin != new.origin:
        raise Mismatch(f"These are checkpoints of two logs, {old.origin} and {new.origin}.")
    hashes = _hashes(inputs.read(options["proof"], LARGEST_FILE), old)
    merkle.verify_consistency(old.size, old.root, new.size, new.root, hashes)
    return {"old": _head(old), "new": _head(new), "signatures": signatures}


def _hashes(data: bytes, old: Checkpoint) -> list[bytes]:
    """Return the hashes of a consistency proof, with or without the first line of a witness request."""
    lines = strict.utf8(data, "a consistency proof").removesuffix("\n").split("\n")
    if lines[0].startswith("old ") and strict.number(lines.pop(0)[4:]) != old.size:
        raise Mismatch(f"The proof does not begin at the size of the old checkpoint, {old.size}.")
    return strict.digests([] if lines == [""] else lines)


def _verify_dir(options: dict[str, Any]) -> dict[str, Any]:
    trusted, writers = directory.verify(Path(options["directory"]), _policy(options))
    faults = [str(fault) for fault in writers.explained]
    return {**_trusted(trusted), "acknowledged_gaps": writers.acknowledged, "acknowledged_faults": faults}


_CHECKS = {
    "verify-checkpoint": _verify_checkpoint,
    "verify-inclusion": _verify_inclusion,
    "verify-consistency": _verify_consistency,
    "verify-dir": _verify_dir,
}
