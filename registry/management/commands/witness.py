"""Run a witness: a small server that cosigns what logs sign, and refuses a log that shows two histories."""

import secrets
import sys
from argparse import ArgumentParser
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from registry import keys, listening
from registry.ledger import LOGS
from registry.refusals import Refusal
from registry.tlog.trust import Policy
from registry.tlog.vkeys import COSIGNATURE, Signer, Verifier
from registry.witness import Application, Witness, cosigner


class Command(BaseCommand):
    """Serve the witness protocol from a folder of state; no database, no environment."""

    help = __doc__
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Accept where to listen, what to remember in, what to sign with, and which logs to watch."""
        parser.add_argument("--listen", required=True, metavar="HOST:PORT")
        parser.add_argument("--state", required=True, type=Path, metavar="DIR", help="what was cosigned last")
        parser.add_argument("--key", required=True, type=Path, metavar="FILE", help="private keys; made if missing")
        parser.add_argument("--name", help="the name of a key that is made; witness.example/RANDOM by default")
        parser.add_argument("--log", action="append", default=[], metavar="VKEY", help="a log to watch; repeatable")
        parser.add_argument("--policy", type=Path, metavar="FILE", help="a trust policy, whose logs are watched")

    def handle(self, *args: Any, **options: Any) -> None:
        """Listen until told to stop."""
        try:
            signers = self._signers(options["key"], options["name"])
            logs = [*map(Verifier.parse, options["log"]), *_listed(options)]
            options["state"].mkdir(parents=True, exist_ok=True)
            witness = Witness(signers=signers, logs=logs, state=options["state"])
            newest = witness.newest_time()  # a damaged state is better found now than by the first log
        except Refusal as refusal:
            raise CommandError(refusal.detail) from refusal
        except (OSError, UnicodeDecodeError) as error:
            raise CommandError(f"A file of the witness cannot be used: {error}") from error
        if not witness.logs:
            self.stderr.write(
                "No log is watched, so every checkpoint is answered 404. Start again with --log VKEY or --policy FILE, "
                f"or put a trust policy (lines `log VKEY`, then `quorum none`) at {options['state'] / 'policy'}: it is "
                "read at the start."
            )
        watched = ", ".join(witness.logs) or "no log"
        self.stdout.write(f"watching {watched} at {options['listen']}; last cosigned at {newest}")
        self.stdout.flush()
        sys.argv = sys.argv[:1]  # gunicorn would read its own options there
        listening.Server(Application(witness), options["listen"]).run()

    def _signers(self, path: Path, name: str | None) -> list[Signer]:
        """Return the keys of a file, one a line, made if missing; print their public halves and keep them beside it."""
        public = path.with_name(f"{path.name}.vkey")
        if not path.exists():
            keys.ensure(path, public, name or f"witness.example/{secrets.token_hex(8)}", COSIGNATURE)
        signers = [cosigner(Signer.parse(line)) for line in path.read_text().split("\n") if line.strip()]
        if not signers or (name and {signer.name for signer in signers} != {name}):
            raise CommandError(f"{path} holds no key{f' of the name {name}' if name else ''}.")
        vkeys = "".join(f"{signer.verifier}\n" for signer in signers)
        with suppress(OSError):  # a folder of secrets may be read-only; they are printed all the same
            public.write_text(vkeys)
        self.stdout.write(vkeys, ending="")
        return signers


def _listed(options: dict[str, Any]) -> Iterator[Verifier]:
    """Yield the logs of the policy; without any named log, those of DIR/policy or of this installation."""
    found = options["policy"] or (None if options["log"] else options["state"] / "policy")
    if found and (options["policy"] or found.exists()):
        yield from (log.key for log in Policy.parse(found.read_bytes()).logs)
    elif not options["log"]:
        paths = (settings.LOG_VKEY_FILE.with_suffix(f".{log}.vkey") for log in LOGS)
        yield from (keys.verifier(path) for path in paths if path.exists())
