"""Which kind of file this is, told by its first bytes, and its rows in batches; what cannot be read says why."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import IO, Protocol

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import ipc

from registry.refusals import Invalid
from registry.tables.borrowed import Borrowed
from registry.tables.progress import Told, quiet
from registry.tables.text import Text

ROWS = 65_536  # of a batch
PARQUET, ARROW, CSV = "parquet", "arrow", "csv"

_PACKED = {b"\x1f\x8b": "gzip", b"PK\x03\x04": "zip", b"BZh": "bzip2", b"\xfd7zXZ": "xz", b"(\xb5/\xfd": "zstd"}


class Source(Protocol):
    """Rows that can be gone through more than once."""

    format: str
    schema: pa.Schema

    def batches(self, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
        """Yield the rows in batches."""


class Parquet:
    """A Parquet file; row groups are read page by page, however large they are."""

    format = PARQUET

    def __init__(self, file: IO[bytes]) -> None:
        with readable("Parquet"):
            self.file = pq.ParquetFile(pa.PythonFile(Borrowed(file), mode="r"), pre_buffer=False, buffer_size=1 << 20)
        self.schema, self.rows = self.file.schema_arrow, self.file.metadata.num_rows

    def batches(self, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
        """Yield the rows in batches of these columns."""
        with readable("Parquet"):
            for batch in self.file.iter_batches(ROWS, columns=columns):
                batch.validate(full=True)  # bytes that are no text would fail whoever reads them
                yield batch

    def sample(self, groups: int = 16) -> Iterator[pa.RecordBatch]:
        """Yield the first batch of row groups that lie evenly over the file."""
        count = self.file.num_row_groups
        chosen = sorted({place * count // groups for place in range(groups)}) if count else []
        for group in chosen:
            with readable("Parquet"):
                yield from _first(self.file.iter_batches(ROWS // 4, row_groups=[group]))


def _first(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        yield batch
        return


class Arrow:
    """An Arrow file (IPC, Feather version 2) or stream."""

    format = ARROW

    def __init__(self, file: IO[bytes], told: Told, *, streamed: bool) -> None:
        self.lent, self.told, self.streamed = Borrowed(file), told, streamed
        with readable("Arrow"):
            self.schema = self._opened().schema

    def _opened(self) -> ipc.RecordBatchFileReader | ipc.RecordBatchStreamReader:
        self.lent.seek(0)
        lent = pa.PythonFile(self.lent, mode="r")
        return ipc.open_stream(lent) if self.streamed else ipc.open_file(lent)

    def batches(self, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
        """Yield the rows in batches of these columns."""
        with readable("Arrow"):
            found = self._opened()
            count = 0 if self.streamed else found.num_record_batches
            batches = found if self.streamed else (found.get_batch(place) for place in range(count))
            for batch in batches:
                batch.validate(full=True)
                self.told("reading", self.lent.place, self.lent.size)
                for start in range(0, batch.num_rows, ROWS):
                    part = batch.slice(start, ROWS)
                    yield part.select(list(columns)) if columns is not None else part


@contextmanager
def readable(what: str) -> Iterator[None]:
    """Refuse a file that a library cannot read."""
    try:
        yield
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0][:200]
        raise Invalid(f"This cannot be read as a {what} file: {reason}. Nothing was kept; write it anew.") from error


def opened(file: IO[bytes], *, told: Told = quiet) -> Source:
    """Return the rows of a file; Invalid names what it is instead, or what is wrong with its columns."""
    file.seek(0)
    head = file.read(8)
    packed = next((name for start, name in _PACKED.items() if head.startswith(start)), "")
    if packed:
        raise Invalid(f"The file is compressed ({packed}). Unpack it first, or write it as Parquet, which is smaller.")
    source = _of_kind(file, head, told)
    with readable("table"):
        names = source.schema.names
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise Invalid(f"The file has more than one column named {', '.join(twice)[:200]}. Give each a name of its own.")
    if not all(name.strip() for name in names):
        raise Invalid("The file has a column without a name (a row number?). Name it, or leave it out.")
    return source


def _of_kind(file: IO[bytes], head: bytes, told: Told) -> Source:
    if not head:
        raise Invalid("The file is empty. Send a Parquet, Arrow or CSV file with a header and some rows.")
    if head.startswith(b"PAR1"):
        return Parquet(file)
    if head.startswith(b"ARROW1"):
        return Arrow(file, told, streamed=False)
    if head.startswith(b"\xff\xff\xff\xff"):
        return Arrow(file, told, streamed=True)
    if head.startswith(b"FEA1"):
        raise Invalid("This is Feather version 1, which is no longer read. Write it as version 2, or as Parquet.")
    return Text(file, told)
