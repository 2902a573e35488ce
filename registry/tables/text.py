"""CSV in UTF-8: two walks through the file, one to see of which type each column is in every row, one to read it so."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import IO

import pyarrow as pa
from pyarrow import csv

from registry.refusals import Invalid
from registry.tables import types
from registry.tables.borrowed import Borrowed
from registry.tables.progress import Told

_BLOCK = 4 << 20  # bytes parsed at a time
_SEPARATORS = ",;\t|"
_WIDE = (b"\xff\xfe", b"\xfe\xff")


class Text:
    """A CSV file with a header, separated by whatever its first line is separated by."""

    format = "csv"

    def __init__(self, file: IO[bytes], told: Told) -> None:
        self.file, self.told = file, told
        self.separator, self.rows = _separator(file), 0  # rows: known once they are settled
        with _readable():
            self.names = [name.strip() for name in self._opened(Borrowed(file), []).schema.names]
        self.schema = pa.schema([(name, pa.string()) for name in self.names])

    def settle(self, demanded: Mapping[str, Sequence[pa.DataType]]) -> None:
        """Walk through the file once and fix the type of each column, so that every one of its values has it.

        `demanded`: column → types of which its values must have one; Invalid names the first row that has none.
        """
        survey = types.Survey(self.names, demanded)
        for batch in self._texts("looking at types"):
            survey.add(batch)
        if not survey.rows:
            raise Invalid("The file has a header but no rows. Send the rows too.")
        self.schema, self.rows = pa.schema(survey.found()), survey.rows

    def batches(self, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
        """Yield the rows in batches, each column in its type."""
        wanted = self.schema if columns is None else pa.schema([self.schema.field(name) for name in columns])
        for batch in self._texts("reading"):
            arrays = [types.cast(batch.column(item.name), item.type) for item in wanted]
            yield pa.RecordBatch.from_arrays(arrays, schema=wanted)

    def _texts(self, doing: str) -> Iterator[pa.RecordBatch]:
        """Yield the rows as they are written, missing values as null."""
        lent = Borrowed(self.file)
        uneven: list[csv.InvalidRow] = []
        with _readable():
            for batch in self._opened(lent, uneven):
                if uneven:
                    raise _not_even(uneven[0])
                self.told(doing, lent.place, lent.size)
                yield batch.rename_columns(self.names)
        if uneven:
            raise _not_even(uneven[0])

    def _opened(self, lent: Borrowed, uneven: list[csv.InvalidRow]) -> csv.CSVStreamingReader:
        def seen(row: csv.InvalidRow) -> str:
            uneven.append(row._replace(text=""))  # what it says may be personal
            return "skip"

        # One thread alone knows the number of a row.
        return csv.open_csv(
            pa.PythonFile(lent, mode="r"),
            read_options=csv.ReadOptions(block_size=_BLOCK, use_threads=False),
            parse_options=csv.ParseOptions(delimiter=self.separator, newlines_in_values=True, invalid_row_handler=seen),
            convert_options=csv.ConvertOptions(default_column_type=pa.string(), strings_can_be_null=True),
        )


def _separator(file: IO[bytes]) -> str:
    """Return what separates the names in the first line."""
    file.seek(0)
    head = file.read(1 << 16)
    if head.startswith(_WIDE) or b"\0" in head:
        raise Invalid("This is neither Parquet, Arrow nor text in UTF-8. Save it as Parquet, or as CSV in UTF-8.")
    line = head.splitlines()[0].decode(errors="replace") if head.strip() else ""
    return max(_SEPARATORS, key=line.count)


def _not_even(row: csv.InvalidRow) -> Invalid:
    where = f"Row {row.number:,}" if row.number is not None else "A row"
    return Invalid(
        f"{where} of the file (the header is row 1) has {row.actual_columns} values where the header has "
        f"{row.expected_columns} names. Nothing was kept; correct the row, or quote the values that hold a separator."
    )


@contextmanager
def _readable() -> Iterator[None]:
    """Refuse what is no CSV without repeating any value of it."""
    try:
        yield
    except (pa.ArrowException, UnicodeDecodeError) as error:
        if "UTF8" in str(error) or isinstance(error, UnicodeDecodeError):
            raise Invalid("The file is not in UTF-8. Save it in UTF-8, or as Parquet, and send it again.") from error
        said = str(error).partition(":")[0][:100]
        raise Invalid(f"This cannot be read as CSV ({said}). Nothing was kept; write it anew.") from error
