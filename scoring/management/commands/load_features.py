"""Load features of entities from a Parquet or CSV file into the online store; an older event never replaces a newer."""

import sys
from argparse import ArgumentParser
from collections.abc import Iterator
from datetime import UTC, date, datetime
from itertools import islice
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
from django.core.management.base import BaseCommand, CommandError
from pyarrow import csv, parquet

from registry.management.progress import Bar
from registry.refusals import Refusal
from scoring import online

_AT_ONCE = 1000  # entities in one journey to the store
_PATIENCE = 30.0  # seconds that the store has for one: nobody's request waits for this
# A field changes only where its event is not older: files may come in any order, and again.
_SCRIPT = """
local written = 0
for i = 1, #ARGV, 2 do
  local old = redis.call('HGET', KEYS[1], ARGV[i])
  local before = old and tonumber(string.match(old, '^(-?%d+):'))
  if not before or before <= tonumber(string.match(ARGV[i + 1], '^(-?%d+):')) then
    redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1])
    written = written + 1
  end
end
return written
"""

Row = tuple[str, list[bytes]]  # an entity, and its fields and what they hold in turn


class Command(BaseCommand):
    """Load features."""

    help = __doc__

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Say which column is what."""
        parser.add_argument("file", type=Path)
        parser.add_argument("--entity", default="entity", help="the column that names the entity")
        parser.add_argument("--time", default="event_time", help="the column that says when it was so")
        parser.add_argument("--feature", action="append", default=[], help="load this column (default: all others)")

    def handle(self, *args: Any, **options: Any) -> None:
        """Print how many entities and values were written."""
        bar = Bar(sys.stderr)
        entities = written = 0
        try:
            write = _writer()
            total, rows = _rows(options["file"], options["entity"], options["time"], options["feature"])
            while some := tuple(islice(rows, _AT_ONCE)):
                written += write(some)
                entities += len(some)
                bar("loading", entities, max(total, entities))
        except (Refusal, OSError, ValueError, KeyError, pa.ArrowException) as error:
            detail = getattr(error, "detail", None) or f"{options['file']} cannot be loaded: {error}"
            raise CommandError(f"{detail} {entities} rows were loaded; load the file again.") from error
        finally:
            bar.close()
        self.stdout.write(f"{entities:,} rows, {written:,} values written")


def _writer() -> Any:
    client = online.connect(seconds=_PATIENCE)
    script = client.register_script(_SCRIPT)

    def write(rows: tuple[Row, ...]) -> int:
        pipeline = client.pipeline(transaction=False)
        for entity, fields in rows:
            script(keys=[online.Own().key(entity)], args=fields, client=pipeline)
        return sum(pipeline.execute())

    return write


def _rows(path: Path, entity: str, time: str, features: list[str]) -> tuple[int, Iterator[Row]]:
    """Return how many rows a file has, as far as it says so, and the rows."""
    if path.suffix.lower() in (".parquet", ".pq"):
        file = parquet.ParquetFile(path)
        return file.metadata.num_rows, _each(file.iter_batches(_AT_ONCE), file.schema_arrow, entity, time, features)
    reader = csv.open_csv(path)
    return 0, _each(reader, reader.schema, entity, time, features)


def _each(batches: Any, schema: pa.Schema, entity: str, time: str, features: list[str]) -> Iterator[Row]:
    wanted = features or [name for name in schema.names if name not in (entity, time)]
    missing = [name for name in (entity, time, *wanted) if name not in schema.names]
    if missing:
        raise ValueError(f"it has no column {', '.join(missing)}.")
    for batch in batches:
        for row in batch.select([entity, time, *wanted]).to_pylist():
            moment = _milliseconds(row[time])
            fields = [part for name in wanted for part in (name.encode(), b"%d:%s" % (moment, _json(row[name])))]
            yield str(row[entity]), fields


def _json(value: Any) -> bytes:
    if isinstance(value, float) and value != value:  # NaN
        return b"null"
    return orjson.dumps(value.isoformat() if isinstance(value, date) else value)


def _milliseconds(value: Any) -> int:
    """Return POSIX milliseconds of a timestamp, a text of RFC 3339, or seconds; without an offset it is UTC."""
    if isinstance(value, str):
        value = datetime.fromisoformat(value)
    if isinstance(value, datetime):
        return round((value if value.tzinfo else value.replace(tzinfo=UTC)).timestamp() * 1000)
    if isinstance(value, int | float):
        return round(value * 1000)
    raise ValueError(f"{value!r} is no moment.")
