"""What the columns of a data set are for: roles said by a person, or guessed from names and values to be confirmed."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pyarrow as pa

from registry import profiles
from registry.profiles import FLAG, INTEGER, MOMENT, NUMBER, WORD, Profile
from registry.refusals import Invalid
from registry.schema import KINDS, LARGEST_EXACT, Column
from registry.tables import types

ROLES = (
    *("feature", "label", "score", "time", "id", "entity", "segment"),
    *("protected", "restricted", "other"),
)
NAMING = ("id", "entity", "restricted")  # roles whose values name or describe somebody: not even counted one by one
MASKED = (*NAMING, "protected")  # roles whose values only those see who may
MOST_WORDS = 1000  # a text column with more different words is an identifier or prose, not a category

_NAMES = (  # what columns of a role are often called, where nobody says more
    ("label", r"label|target|is_?fraud|fraud(_flag)?|class|outcome|default(ed)?|y"),
    ("restricted", r".*(e_?mail|phone|iban|passport|ssn|address|first_?name|last_?name|surname|birth|dob).*|name"),
    ("entity", r"(customer|client|account|card|user|merchant|device)(_?(id|no|number|key))?"),
    ("id", r"id|.*_id|uuid|index|row(_?(id|no|number))?|transaction(_?(no|number|key))?"),
    ("protected", r"age(_?(band|group))?|sex|gender|race|ethnic.*|nationality|religion|marital.*|disab.*"),
    ("segment", r"segment|portfolio|region|branch"),
)
_TYPES: dict[str, Sequence[pa.DataType]] = {
    "number": (types.NUMBER,),
    "integer": (types.WHOLE, types.NUMBER),
    "boolean": (types.FLAG,),
    "category": (types.TEXT,),
    "date": types.MOMENTS,
}
_OF_ROLE: dict[str, Sequence[pa.DataType]] = {
    "time": types.MOMENTS,
    "label": (types.WHOLE, types.FLAG, types.NUMBER),
    "score": (types.NUMBER,),
    **dict.fromkeys(NAMING, (types.TEXT,)),
}


def declared(item: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    """Return a column as it is kept; Invalid for a role, kind or name that is none. `names`: of the file's columns."""
    name, role = item.get("name"), item.get("role")
    if role not in ROLES or name not in names:
        known = ", ".join(names[:20])
        raise Invalid(f"Column {name!r} with role {role!r}: name a column of the file ({known}) and one of {ROLES}.")
    kind = Column(str(name), item.get("kind", "number"), bool(item.get("nullable")), tuple(item.get("categories", ())))
    said = {"name": kind.name, "role": role, "kind": kind.kind, "nullable": kind.nullable}
    masked = {"restricted": True} if item.get("restricted") is True else {}
    return {**said, "categories": list(kind.categories), **masked}


def demanded(items: Iterable[Mapping[str, Any]]) -> dict[str, Sequence[pa.DataType]]:
    """Return the types of which the values of a CSV must have one: by kind for features, by role for others."""
    found = {}
    for item in items:
        named = isinstance(item.get("name"), str)
        wanted = _TYPES.get(str(item.get("kind", "number"))) if item.get("role") == "feature" else None
        wanted = wanted or _OF_ROLE.get(str(item.get("role")))
        if named and wanted:
            found[item["name"]] = wanted
    return found


def masked(items: Iterable[Mapping[str, Any]], names: Iterable[str]) -> set[str]:
    """Return the columns whose values only those see who may; what nobody said the use of is among them."""
    shown = {item["name"] for item in items if item["role"] not in MASKED and not item.get("restricted")}
    return set(names) - shown


def naming(items: Iterable[Mapping[str, Any]], names: Iterable[str]) -> set[str]:
    """Return the columns of which no statistics but counts are kept: they name somebody, or nobody said their use."""
    counted = {item["name"] for item in items if item["role"] not in NAMING and not item.get("restricted")}
    return set(names) - counted


def guess(profile: Profile, said: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return every column with a role: what is `said` (name → role), else what its name and values suggest."""
    unknown = sorted(set(said) - set(profile.columns))
    wrong = sorted(set(said.values()) - set(ROLES))
    if unknown or wrong:
        raise Invalid(
            f"{', '.join([*unknown, *wrong])[:200]}: name a column of the file ({', '.join(profile.columns)[:300]}) "
            f"and one of these roles: {', '.join(ROLES)}."
        )
    roles = dict(said)
    for name, column in profile.columns.items():
        if name not in roles:
            roles[name] = _role(column, set(roles.values()), profile.rows, said="protected" in said.values())
    return [_column(column, roles[name]) for name, column in profile.columns.items()]


def _role(column: profiles.Column, taken: set[str], rows: int, *, said: bool) -> str:
    """Guess a role. `said`: somebody named the protected columns, and this is none of them."""
    name = re.sub(r"[^a-z0-9]+", "_", column.name.lower()).strip("_")
    for role, pattern in _NAMES:
        if re.fullmatch(pattern, name) and _may_be(role, column, taken) and not (said and role == "protected"):
            return role
    if column.kind == MOMENT and "time" not in taken:
        return "time"
    return "feature" if _kind(column) and not _says_nothing(column, rows) else "other"


def _may_be(role: str, column: profiles.Column, taken: set[str]) -> bool:
    if role == "label":
        return "label" not in taken and is_binary(column)
    return role != "entity" or column.kind in (WORD, INTEGER)


def is_binary(column: profiles.Column) -> bool:
    """Say whether a column holds 0 and 1 and nothing else; missing values aside."""
    counts = column.values.counts
    return counts is not None and column.kind in (INTEGER, NUMBER, FLAG) and set(counts) <= {0, 1}


def _says_nothing(column: profiles.Column, rows: int) -> bool:
    """Say whether a column is the same everywhere, or different in every row as identifiers are."""
    counts = column.values.counts
    if counts is None:
        return False
    return len(counts) < 2 or (column.kind == WORD and len(counts) > rows // 2)


def _kind(column: profiles.Column) -> str:
    """Return what kind of feature a column can be; empty: none."""
    if column.kind == WORD:
        counts = column.values.counts
        return "category" if counts is not None and len(counts) <= MOST_WORDS else ""
    if column.kind == INTEGER:
        exact = max(abs(column.least or 0), abs(column.most or 0)) <= LARGEST_EXACT
        return "integer" if exact else ""
    return {NUMBER: "number", FLAG: "boolean", MOMENT: "date"}.get(column.kind, "")


def _column(column: profiles.Column, role: str) -> dict[str, Any]:
    kind = _kind(column) if role == "feature" else "number"
    if kind not in KINDS:
        raise Invalid(
            f"Column {column.name} cannot be a feature: it holds {column.type} of too many different values. Give it "
            "another role (other, id, restricted …), or prepare it before."
        )
    found: dict[str, Any] = {"name": column.name, "role": role, "kind": kind, "nullable": column.missing > 0}
    if kind == "category":
        found["categories"] = sorted(column.values.counts or ())
    return found
