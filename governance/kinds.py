"""What a column of a file holds, told from its values: numbers and dates that came as text become what they are."""

import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from registry.refusals import Invalid

_MOST = 0.95  # a text column of which this share are numbers (or dates) is one; the rest of it is missing
_LONGEST = 200  # characters of a word
_DATE = r"\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}|\d{1,2}[- ]?[A-Za-z]{3,9}[- ]?\d{2,4}|[A-Za-z]{3,9} \d{1,2},? \d{4}"
_SIGNS = r"[\s\u00a0$€£¥%']"  # what people write around and within numbers
_POINT = r"[-+]?(0|[1-9]\d*|[1-9]\d{0,2}(,\d{3})+)?(\.\d*)?([eE][-+]?\d+)?"  # 1,234.5
_COMMA = r"[-+]?(0|[1-9]\d*|[1-9]\d{0,2}(\.\d{3})+)(,\d+)?"  # 1.234,5
_CALENDAR = (("%Y%m%d", 19000101, 21001231), ("%Y%m", 190001, 210012), ("%Y", 1900, 2100))  # dates as numbers
_CLOCKS = (("s", 1e11), ("ms", 1e14), ("us", 1e17), ("ns", 9e18))  # of moments since 1970 below this number


def typed(values: pd.Series, notes: list[str]) -> pd.Series:
    """Return a column in the narrowest honest type; Invalid when its cells hold more than one value each."""
    if isinstance(values.dtype, pd.CategoricalDtype):
        values = values.astype("object")
    if isinstance(values.dtype, pd.DatetimeTZDtype):
        return values.dt.tz_convert(None)
    if pd.api.types.is_timedelta64_dtype(values):
        return values.dt.total_seconds()
    if pd.api.types.is_float_dtype(values):
        return _finite(values, notes)
    return _read(values, notes) if pd.api.types.is_object_dtype(values) else values


def _finite(values: pd.Series, notes: list[str]) -> pd.Series:
    infinite = np.isinf(values.to_numpy("float64", na_value=0))
    if infinite.any():
        notes.append(f"{values.name}: {infinite.sum()} infinite values count as missing")
    return values.mask(infinite)


def _read(values: pd.Series, notes: list[str]) -> pd.Series:
    """Return a column of objects as booleans, numbers or dates where nearly all of it says so, else as words."""
    text = _words(values)
    present = text.dropna()
    if not present.empty and present.str.lower().isin(["true", "false"]).all():
        return text.str.lower().eq("true")
    for found in _readings(text):
        lost = len(present) - int(found.notna().sum())
        if lost <= (1 - _MOST) * len(present):
            if lost:
                notes.append(f"{values.name}: {lost} values count as missing, since the others are numbers or dates")
            return found
    return text


def _readings(text: pd.Series) -> Iterator[pd.Series]:
    yield _numbers(text)
    if text.dropna().head(500).str.contains(_DATE).mean() > _MOST:
        yield _dates(text)


def _words(values: pd.Series) -> pd.Series:
    first = values.dropna().head(1).tolist()
    if first and isinstance(first[0], list | tuple | dict | set | np.ndarray):
        raise Invalid(f"Each cell of {values.name} holds several values. Write one value per cell, or leave it out.")
    if first and isinstance(first[0], bytes):
        values = values.map(lambda cell: cell.decode(errors="replace"), na_action="ignore")
    text = values.astype("string").str.replace("\0", "").str.strip().str.slice(0, _LONGEST)
    return text.mask(text == "")


def _numbers(text: pd.Series) -> pd.Series:
    """Return text as numbers with a decimal point or, where that fits more of it, a comma."""
    bare = text.str.replace(_SIGNS, "", regex=True)
    point, comma = (bare.str.fullmatch(pattern).fillna(False) for pattern in (_POINT, _COMMA))
    if comma.sum() > point.sum():
        bare, point = bare.str.replace(".", "").str.replace(",", "."), comma
    return pd.to_numeric(bare.where(point).str.replace(",", ""), errors="coerce").astype("float64")


def _dates(text: pd.Series) -> pd.Series:
    """Return text as moments in UTC; whether day or month comes first is what fits more of it (a tie: by the dots)."""
    dotted = bool(text.dropna().head(1).str.contains(r"\d\.\d").any())
    ways: list[dict[str, Any]] = [{"format": "ISO8601"}, {"dayfirst": dotted}, {"dayfirst": not dotted}]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # pandas says that it guesses
        read = [pd.to_datetime(text, errors="coerce", utc=True, **way).dt.tz_convert(None) for way in ways]
    return max(read, key=lambda moments: moments.notna().sum())


def moments(values: pd.Series) -> pd.Series:
    """Return a column as moments: dates, text, days such as 20260131, years, or what clocks count since 1970."""
    if pd.api.types.is_datetime64_any_dtype(values):
        return values
    if not pd.api.types.is_numeric_dtype(values):
        return _dates(values)
    numbers = values.astype("float64")
    for form, low, high in _CALENDAR:
        if numbers.dropna().between(low, high).all():
            return pd.to_datetime(numbers.map("{:.0f}".format), format=form, errors="coerce")
    largest = numbers.abs().max()
    unit = next((unit for unit, below in _CLOCKS if largest < below), "ns")
    return pd.to_datetime(numbers.where(numbers.abs() < _CLOCKS[-1][1]), unit=unit, errors="coerce")
