"""Of which type a column of text is, in every one of its rows: numbers and moments that came as text become such."""

from collections.abc import Mapping, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from registry.refusals import Invalid

WHOLE, NUMBER, FLAG, DAY = pa.int64(), pa.float64(), pa.bool_(), pa.date32()
MOMENT, ZONED, TEXT = pa.timestamp("us"), pa.timestamp("us", "UTC"), pa.string()
CANDIDATES = (WHOLE, NUMBER, FLAG, DAY, MOMENT, ZONED, TEXT)  # the first that fits all rows is taken
MOMENTS = (DAY, MOMENT, ZONED)
_WORDS = {
    WHOLE: "a whole number",
    NUMBER: "a number",
    FLAG: "true or false",
    DAY: "a date such as 2026-01-31",
    MOMENT: "a moment such as 2026-01-31T09:30:00",
    ZONED: "a moment with its zone such as 2026-01-31T09:30:00Z",
    TEXT: "a text",
}
_LONG = r"^\s*[+-]?\d{19,}\s*$"  # more digits than a whole number here has: an identifier


def cast(values: pa.Array, type_: pa.DataType) -> pa.Array:
    """Return text in another type; pa.ArrowInvalid where a value is none of it. Blanks around it do not count."""
    if type_ == TEXT:
        return values
    try:
        return pc.cast(values, type_)
    except pa.ArrowInvalid:
        return pc.cast(pc.utf8_trim_whitespace(values), type_)


class Survey:
    """What the columns can be, as far as they were seen."""

    def __init__(self, names: Sequence[str], demanded: Mapping[str, Sequence[pa.DataType]]) -> None:
        self.rows = 0
        self.demanded = demanded
        self.possible = {name: list(demanded.get(name, CANDIDATES)) for name in names}
        self.seen = dict.fromkeys(names, False)  # whether any value was

    def add(self, batch: pa.RecordBatch) -> None:
        """Look at more rows; Invalid where a value is nothing that its column must be."""
        for name, possible in self.possible.items():
            values = batch.column(name)
            if values.null_count == len(values):
                continue
            self.seen[name] = True
            left = [type_ for type_ in possible if type_ == TEXT or _fits(values, type_)]
            if not left:
                raise self._refusal(name, values)
            self.possible[name] = left
        self.rows += batch.num_rows

    def found(self) -> list[tuple[str, pa.DataType]]:
        """Return the type of each column; one without any value holds text."""
        return [(name, possible[0] if self.seen[name] else TEXT) for name, possible in self.possible.items()]

    def _refusal(self, name: str, values: pa.Array) -> Invalid:
        wanted = self.demanded[name]
        place = _first_unfit(values, self.possible[name])
        return Invalid(
            f"Row {self.rows + place + 2:,} of the file (the header is row 1) has a value in column {name} that is not "
            f"{' or '.join(_WORDS[type_] for type_ in wanted)}, as the rows before. Nothing was kept; correct it, or "
            "say that the column is something else."
        )


def _fits(values: pa.Array, type_: pa.DataType) -> bool:
    """Say whether all values are of a type and lose nothing by it: 007 and endless digits are names, not numbers."""
    try:
        cast(values, type_)
    except pa.ArrowInvalid:
        return False
    if type_ == WHOLE:
        zero = pc.and_(pc.starts_with(values, "0"), pc.greater(pc.binary_length(values), 1))
        return not pc.any(zero).as_py()
    if type_ == NUMBER:
        return not pc.any(_named_by_digits(values)).as_py()
    if type_ == FLAG:
        return bool(pc.all(pc.is_in(pc.utf8_lower(values), pa.array(["true", "false", None]))).as_py())
    return True


def _named_by_digits(values: pa.Array) -> pa.Array:
    begins = pc.and_(pc.starts_with(values, "0"), pc.greater(pc.binary_length(values), 1))
    zero = pc.and_(begins, pc.invert(pc.starts_with(values, "0.")))
    return pc.and_(zero, pc.match_substring_regex(values, r"^\d+$")) if pc.any(zero).as_py() else _endless(values)


def _endless(values: pa.Array) -> pa.Array:
    long = pc.greater(pc.binary_length(values), 18)
    return pc.and_(long, pc.match_substring_regex(values, _LONG)) if pc.any(long).as_py() else long


def _first_unfit(values: pa.Array, possible: Sequence[pa.DataType]) -> int:
    """Return the place of the first value because of which no type fits: halves are looked at, not every value."""
    low, high = 0, len(values)
    while high - low > 1:
        middle = (low + high) // 2
        if any(_fits(values.slice(0, middle), type_) for type_ in possible):
            low = middle
        else:
            high = middle
    return low
