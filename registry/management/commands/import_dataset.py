"""Register a file of any size, Parquet, Arrow or CSV, as a data set; it is read in pieces.

Roles of columns are what --role (or --label, --time, --id, --protected) says, and guessed for the others; they are
shown before anything is kept.
"""

import re
import resource
import sys
from argparse import ArgumentParser
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from registry import column_roles, datasets, preparations, retention, snapshots
from registry.management.progress import Bar
from registry.models import User
from registry.refusals import Invalid, Refusal
from registry.snapshots import Snapshot

_DEMANDED = ("time", "id", "entity", "restricted")  # roles whose values have a type; labels may come as words


class Command(BaseCommand):
    """Read a file, find out what its columns are, keep it by digest."""

    help = __doc__

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Say which column is what."""
        parser.add_argument("file", type=Path)
        parser.add_argument(
            *("--role", "-r"),
            action="append",
            default=[],
            metavar="COLUMN=ROLE",
            help=f"what a column is for: {', '.join(column_roles.ROLES)}",
        )
        parser.add_argument("--label", help="the column that says whether the adverse event happened")
        parser.add_argument("--adverse", help="the label's value that is the adverse event (default: found out of two)")
        parser.add_argument("--time", help="the column to split training and holdout by")
        parser.add_argument("--id", help="an identifier, never a feature")
        parser.add_argument(
            "--protected", nargs="+", action="extend", default=[], help="checked for bias, never features"
        )
        parser.add_argument("--retention", help="the retention class it gets (a name that a policy in force knows)")
        parser.add_argument("--by", default="ada", help="who registers it (a username)")
        parser.add_argument("--name", help="what to call it (default: the file's name)")
        parser.add_argument("--yes", action="store_true", help="do not ask whether the guessed roles are right")

    def handle(self, *args: Any, **options: Any) -> None:
        """Print what was found and the digest it is registered under."""
        by = User.objects.filter(username=options["by"]).first()
        if by is None:
            raise CommandError(f"There is nobody named {options['by']}; say --by with somebody's username.")
        bar = Bar(sys.stderr)
        try:
            self._import(by, bar, options)
        except Refusal as refusal:
            raise CommandError(refusal.detail) from refusal
        finally:
            bar.close()

    def _import(self, by: User, bar: Bar, options: dict[str, Any]) -> None:
        roles, notes = _roles(options), list[str]()
        if options["retention"] and options["retention"] not in retention.classes():
            raise Invalid(f"No policy in force knows the retention class {options['retention']!r}. Nothing was kept.")
        with _open(options["file"]) as file, _prepared(file, roles, options["adverse"], notes, bar) as snapshot:
            bar.close()
            columns = column_roles.guess(snapshot.profile, roles)
            self._show(columns, notes)
            self._confirm(sure=options["yes"] or bool(roles))
            name = (options["name"] or options["file"].name)[:120]
            dataset = datasets.enter(snapshot=snapshot, name=name, columns=columns, by=by, now=timezone.now())
        if options["retention"]:
            given = {"name": options["retention"], "reason": "Given at the import."}
            retention.assign(dataset=dataset, by=by, now=timezone.now(), **given)
        self.stdout.write(f"{dataset.rows} rows, {len(dataset.named('feature'))} features{_rate(snapshot, columns)}")
        self.stdout.write(f"registered as {dataset.digest}")
        self.stdout.write(f"at most {_most_memory()} MB of memory were used")

    def _show(self, columns: list[dict[str, Any]], notes: list[str]) -> None:
        for column in columns:
            words = f" ({len(column['categories'])} categories)" if column.get("categories") else ""
            kind = f", {column['kind']}{words}" if column["role"] == "feature" else ""
            missing = ", may be missing" if column["nullable"] else ""
            self.stdout.write(f"  {column['name']}: {column['role']}{kind}{missing}")
        for note in notes:
            self.stdout.write(f"  note: {note}")

    def _confirm(self, *, sure: bool) -> None:
        """Ask whether the roles are right; where nobody can be asked, they must have been said."""
        if sure:
            return
        if not sys.stdin.isatty():
            raise Invalid(
                "These roles are guessed. Say --yes if they are right, or --role COLUMN=ROLE for those that are not. "
                "Nothing was kept."
            )
        if input("Are these roles right? [y/N] ").strip().lower() not in ("y", "yes"):
            raise Invalid("Nothing was kept. Say --role COLUMN=ROLE for each column that is something else.")


def _roles(options: dict[str, Any]) -> dict[str, str]:
    """Return what the options say of columns: name → role."""
    said = [pair.rpartition("=") for pair in options["role"]]
    pairs = [(name, role) for name, _, role in said]
    pairs += [(options[role], role) for role in ("label", "time", "id") if options[role]]
    pairs += [(name, "protected") for name in options["protected"]]
    names = [name for name, _ in pairs]
    if not all(names):
        raise Invalid("Write --role COLUMN=ROLE, such as --role is_fraud=label.")
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise Invalid(f"{', '.join(twice)}: a column has one role, such as label, time, id or protected.")
    return dict(pairs)


@contextmanager
def _open(path: Path) -> Iterator[IO[bytes]]:
    if not path.is_file():
        raise Invalid(f"There is no file {path}. Give the path of a Parquet, Arrow or CSV file.")
    with path.open("rb") as file:
        yield file


@contextmanager
def _prepared(
    file: IO[bytes], roles: dict[str, str], adverse: str | None, notes: list[str], bar: Bar
) -> Iterator[Snapshot]:
    """Yield the file's rows as they are kept: with a label of 0 and 1, and protected attributes as groups."""
    demanded = column_roles.demanded({"name": n, "role": role} for n, role in roles.items() if role in _DEMANDED)
    label = next((name for name, role in roles.items() if role == "label"), None)
    protected = [name for name, role in roles.items() if role == "protected"]
    with snapshots.taken(file, demanded=demanded, told=bar) as found:
        change = preparations.needed(found, label=label, adverse=adverse, protected=protected, notes=notes)
        if change is None:
            yield found
            return
        with snapshots.changed(found, change, told=bar) as changed:
            yield changed


def _most_memory() -> int:
    """Return the most memory this process held, in MB; Linux counts in ru_maxrss what its parent held too."""
    status = Path("/proc/self/status")
    said = re.search(r"^VmHWM:\s*(\d+) kB", status.read_text(), re.MULTILINE) if status.exists() else None
    return (int(said[1]) if said else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss) // 1024


def _rate(snapshot: Snapshot, columns: list[dict[str, Any]]) -> str:
    names = [column["name"] for column in columns if column["role"] == "label"]
    return f", {snapshot.profile.columns[names[0]].mean:.1%} adverse" if names else ""
