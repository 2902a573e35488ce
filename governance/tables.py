"""A CSV or Parquet file as a table, in whatever dialect it was written; nothing is known yet of what it means."""

import zipfile
import zlib
from contextlib import suppress
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from registry.refusals import Invalid

_SEPARATORS = ",;\t|"
_COMPRESSED = {".gz": "gzip", ".bz2": "bz2", ".xz": "xz", ".zip": "zip"}
_UTF16 = (b"\xff\xfe", b"\xfe\xff")
_NAMELESS = ("Unnamed: ", "__index_level_")  # what pandas calls a column without a name, such as row numbers
_WHOLE = {pa.type_for_alias(name.lower()): pd.api.types.pandas_dtype(name) for name in ("Int32", "Int64", "UInt64")}


def read(path: Path, notes: list[str]) -> pd.DataFrame:
    """Return the rows of a file under the names of its columns; Invalid says why it is no table."""
    if not path.is_file():
        raise Invalid(f"There is no file {path}. Give the path of a CSV or Parquet file.")
    with path.open("rb") as file:
        head = file.read(1024)
    try:
        frame = _parquet(path) if head.startswith(b"PAR1") else _csv(path, head, notes)
    except (ValueError, OSError, EOFError, pa.ArrowException, zlib.error, zipfile.BadZipFile) as error:
        reason = (str(error).splitlines() or [""])[0]
        raise Invalid(f"{path.name} cannot be read as CSV or Parquet: {reason[:200]}") from error
    frame = _named(frame, path, notes)
    if frame.empty or len(frame.columns) < 2:
        raise Invalid(f"{path.name} holds no table: it needs a header, at least two columns and some rows.")
    return frame


def _parquet(path: Path) -> pd.DataFrame:
    """Read the columns themselves, whatever the library that wrote them would have made of them."""
    table = pq.ParquetFile(path).read()
    frame: pd.DataFrame = table.to_pandas(ignore_metadata=True, date_as_object=False, types_mapper=_WHOLE.get)
    return frame


def _csv(path: Path, head: bytes, notes: list[str]) -> pd.DataFrame:
    compression = _COMPRESSED.get(path.suffix.lower())
    if b"\0" in head and not compression and not head.startswith(_UTF16):
        raise Invalid(f"{path.name} is neither text nor Parquet. Export it as CSV or Parquet first.")
    with suppress(UnicodeError):
        return _parsed(path, compression, "utf-8")
    for encoding in ("utf-16", "cp1252"):
        with suppress(UnicodeError):
            frame = _parsed(path, compression, encoding)
            notes.append(f"the file is not UTF-8; it was read as {encoding}")
            return frame
    raise Invalid(f"{path.name} is in no encoding that is known here. Save it as UTF-8.")


def _parsed(path: Path, compression: str | None, encoding: str) -> pd.DataFrame:
    given = {"compression": compression, "encoding": encoding, "skipinitialspace": True, "low_memory": False}
    width = {sep: len(pd.read_csv(path, sep=sep, nrows=0, **given).columns) for sep in _SEPARATORS}
    frame: pd.DataFrame = pd.read_csv(path, sep=max(width, key=lambda sep: width[sep]), **given)
    return frame if isinstance(frame.index, pd.RangeIndex) else _aligned(frame, path)


def _aligned(frame: pd.DataFrame, path: Path) -> pd.DataFrame:
    """Undo what pandas makes of rows with more values than the header has names: their first ones become an index."""
    if frame.index.nlevels > 1:
        raise Invalid(f"The rows of {path.name} have more values than its first line has names. Name every column.")
    if frame.iloc[:, -1].isna().all():  # the rows, but not the header, end with a separator
        return frame.reset_index().iloc[:, :-1].set_axis(frame.columns, axis=1)
    return frame.reset_index(drop=True)  # row names


def _named(frame: pd.DataFrame, path: Path, notes: list[str]) -> pd.DataFrame:
    names = [str(name).replace("\0", "").strip() for name in frame.columns]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise Invalid(f"{path.name} has more than one column named {', '.join(twice)}. Give each a name of its own.")
    frame = frame.set_axis(names, axis=1)
    named = [name for name in names if name and not name.startswith(_NAMELESS)]
    if len(named) < len(names):
        notes.append(f"left out, because it has no name (a row number?): {len(names) - len(named)} column")
    return frame[named]
