"""The input schema of a version: which features, of which kind, in which order; rows in, vectors out.

The same code encodes rows online, in batch, in checks and in replay. Everything is float64: categories become
the position of their word in the schema (the code LightGBM and pandas use), booleans 0 and 1, dates days since
1970-01-01, missing values NaN.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from functools import cached_property
from typing import Any

import numpy as np

from registry.refusals import Invalid

KINDS = ("number", "integer", "boolean", "category", "date")
_EPOCH = date(1970, 1, 1).toordinal()
LARGEST_EXACT = 2**53
SCORE = "model score"  # what a column of scores beside the features is called: a feature may be named score
REFUSE, NULL, FALLBACK = OTHERWISE = ("refuse", "null", "fallback")  # the request; the value; the package's answers
_MEANINGS = {
    "number": "a finite number",
    "integer": "a whole number",
    "boolean": "true or false",
    "date": "a date such as 2026-01-31",
}


@dataclass(frozen=True)
class Column:
    """One feature. `nullable`: a missing value is accepted and becomes NaN.

    `low`, `high`: the range of the reference data (of dates their texts); a value beyond it is told of, not refused.
    `online`: where a value that is not sent is read, by its name in the online store (`name`, of Feast `view:name`);
    `max_age`: seconds after its event at which it is stale; `otherwise`: what is done when it is missing or stale.
    """

    name: str
    kind: str
    nullable: bool = False
    categories: tuple[str, ...] = ()
    low: float | str | None = None
    high: float | str | None = None
    online: str | None = None
    max_age: float | None = None
    otherwise: str | None = None

    def __post_init__(self) -> None:
        texts = [self.name, self.kind, *self.categories]
        if not self.name or not all(isinstance(text, str) for text in texts) or not isinstance(self.nullable, bool):
            raise Invalid("A feature has a name, a kind, nullable (true or false), and categories, which are texts.")
        if self.kind not in KINDS:
            raise Invalid(f"Feature {self.name!r} has kind {self.kind!r}; choose one of {', '.join(KINDS)}.")
        bounds = [bound for bound in (self.low, self.high) if bound is not None]
        if any(isinstance(bound, str) != (self.kind == "date") or not _is_bound(bound) for bound in bounds):
            raise Invalid(f"Feature {self.name!r}: low and high are numbers, or of dates texts such as 2026-01-31.")
        if (self.kind == "category") != bool(self.categories) or len(set(self.categories)) != len(self.categories):
            raise Invalid(f"Feature {self.name!r}: list each category once, for features of kind category only.")
        self._read_online()

    def _read_online(self) -> None:
        """Refuse a feature of the online store without an age, or without saying what is done when it is not there."""
        told = (self.online, self.max_age, self.otherwise)
        if told == (None, None, None):
            return
        named = isinstance(self.online, str) and 0 < len(self.online) <= 200 and self.online.isprintable()
        aged = isinstance(self.max_age, int | float) and not isinstance(self.max_age, bool) and 0 < self.max_age < 1e9
        if not named or not aged or self.otherwise not in OTHERWISE:
            raise Invalid(
                f"Feature {self.name!r} of the online store has `online` (its name there), `max_age` (seconds) and "
                f"`otherwise`, one of {', '.join(OTHERWISE)}."
            )
        if self.otherwise == NULL and not self.nullable:
            raise Invalid(f"Feature {self.name!r} is null when the online store has no value, so it must be nullable.")

    def encode(self, value: Any) -> float:
        """Return the float64 of a value; ValueError says what would have been right."""
        if value is None:
            if self.nullable:
                return math.nan
            raise ValueError("must not be missing")
        return _ENCODERS[self.kind](self, value)

    def outside(self, value: Any) -> bool:
        """Say whether a value that can be encoded lies beyond what the reference data held."""
        if value is None or (self.low is None and self.high is None):
            return False
        below = self.low is not None and value < self.low
        return below or (self.high is not None and value > self.high)


def _is_bound(bound: Any) -> bool:
    if isinstance(bound, str):
        try:
            return bool(date.fromisoformat(bound))
        except ValueError:
            return False
    return isinstance(bound, int | float) and not isinstance(bound, bool) and math.isfinite(bound)


def _number(column: Column, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"must be {_MEANINGS[column.kind]}, not {type(value).__name__}")
    try:
        result = float(value)
    except OverflowError:
        result = math.inf
    if not math.isfinite(result):
        raise ValueError(f"must be {_MEANINGS[column.kind]}, not NaN or infinite")
    return result


def _integer(column: Column, value: Any) -> float:
    result = _number(column, value)
    if not result.is_integer() or abs(result) > LARGEST_EXACT:
        raise ValueError(f"must be {_MEANINGS['integer']} of at most 53 bits")
    return result


def _boolean(column: Column, value: Any) -> float:
    if not isinstance(value, bool):
        raise ValueError(f"must be {_MEANINGS['boolean']}, not {type(value).__name__}")
    return float(value)


def _category(column: Column, value: Any) -> float:
    if not isinstance(value, str):
        raise ValueError(f"must be a word, not {type(value).__name__}")
    if value not in column.categories:
        shown = ", ".join(column.categories[:8]) + (", …" if len(column.categories) > 8 else "")
        raise ValueError(f"is not one of the {len(column.categories)} known categories ({shown})")
    return float(column.categories.index(value))


def _date(column: Column, value: Any) -> float:
    try:
        return float(date.fromisoformat(value).toordinal() - _EPOCH)
    except (TypeError, ValueError) as error:
        raise ValueError(f"must be {_MEANINGS['date']}") from error


_ENCODERS = {
    "number": _number,
    "integer": _integer,
    "boolean": _boolean,
    "category": _category,
    "date": _date,
}


_SELDOM = ("low", "high", "online", "max_age", "otherwise")  # left out of the JSON form where nothing is said


@dataclass(frozen=True)
class Schema:
    """The features of a version in the order the model expects them."""

    columns: tuple[Column, ...]

    def __post_init__(self) -> None:
        if not self.columns or len(set(self.names)) != len(self.columns):
            raise Invalid("A schema lists at least one feature, and each feature once.")

    @property
    def names(self) -> list[str]:
        """Feature names in order."""
        return [column.name for column in self.columns]

    @cached_property
    def _known(self) -> frozenset[str]:
        return frozenset(self.names)

    @cached_property
    def _ranged(self) -> tuple[Column, ...]:
        return tuple(column for column in self.columns if column.low is not None or column.high is not None)

    @cached_property
    def online(self) -> tuple[Column, ...]:
        """The features that are read from the online store when they are not sent."""
        return tuple(column for column in self.columns if column.online)

    @classmethod
    def load(cls, value: Any) -> "Schema":
        """Read the JSON form; an Invalid names what is wrong with it."""
        try:
            return cls(tuple(Column(**{**item, "categories": tuple(item.get("categories", ()))}) for item in value))
        except (TypeError, AttributeError) as error:
            raise Invalid(f"This is not a schema (a list of name, kind, nullable, categories): {error}.") from error

    def dump(self) -> list[dict[str, Any]]:
        """Return the JSON form."""
        return [
            {name: value for name, value in asdict(column).items() if name not in _SELDOM or value is not None}
            | {"categories": list(column.categories)}
            for column in self.columns
        ]

    def vector(self, features: Mapping[str, Any]) -> np.ndarray:
        """Encode one row as float64 of shape (n_features,); an Invalid lists every wrong feature at once."""
        if not isinstance(features, Mapping):
            raise Invalid("`features` must be an object of feature name to value.")
        result, reasons = [], []
        for column in self.columns:
            value = features.get(column.name)
            if type(value) is float and column.kind == "number" and math.isfinite(value):
                result.append(value)  # nearly every value is of this kind, and is what it says
                continue
            if value is None and not column.nullable and column.name not in features:
                reasons.append(_reason(column.name, "is missing"))
                continue
            try:
                result.append(column.encode(value))
            except ValueError as error:
                reasons.append(_reason(column.name, str(error)))
        reasons += [_reason(name, "is not a feature of this version") for name in features if name not in self._known]
        if reasons:
            noun = "feature does" if len(reasons) == 1 else "features do"
            raise Invalid(
                f"{len(reasons)} {noun} not fit the schema of this version. Correct them and send the request again.",
                reasons=reasons,
            )
        return np.array(result)

    def outside(self, features: Mapping[str, Any]) -> list[str]:
        """Return the features of a row that fits, whose values lie beyond what the reference data held."""
        return [column.name for column in self._ranged if column.outside(features.get(column.name))]

    def matrix(self, rows: Sequence[Mapping[str, Any]]) -> np.ndarray:
        """Encode many rows as float64 of shape (n_rows, n_features)."""
        return np.array([self.vector(row) for row in rows]).reshape(len(rows), len(self.columns))


def _reason(name: str, detail: str) -> dict[str, str]:
    escaped = str(name).replace("~", "~0").replace("/", "~1")
    return {"pointer": f"#/features/{escaped}", "detail": f"{name} {detail}"}
