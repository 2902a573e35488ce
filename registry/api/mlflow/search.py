"""MLflow's filter strings and orders, as querysets.

name LIKE 'fraud%' AND tags.team = 'cards' AND version_number > 3 AND run_id IN ('a', 'b')
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from django.db.models import CharField, F, Lookup, OuterRef, Q, QuerySet, Subquery, TextField, Value
from django.db.models.fields.json import KeyTextTransform
from django.db.models.functions import Coalesce, NullIf

from registry.models import RegisteredModel, Registration, Tag
from registry.refusals import Invalid

_CLAUSE = re.compile(
    r"""\s*(?:(?P<entity>tags?|attributes?)\.)?(?P<key>`[^`]+`|"[^"]+"|[\w./-]+)
    \s*(?P<operator>!=|>=|<=|=|<|>|\bLIKE\b|\bILIKE\b|\bNOT\s+IN\b|\bIN\b)
    \s*(?P<value>'[^']*'|"[^"]*"|\d{1,15}|\(\s*'[^']*'(?:\s*,\s*'[^']*')*\s*,?\s*\))
    \s*(?P<more>\bAND\b|$)""",
    re.VERBOSE | re.IGNORECASE,
)
_IS_PROMPT = "mlflow.prompt.is_prompt"  # clients ask for models that are not prompts; none of ours is
_MODELS = {"name": "name"}
_VERSIONS = {
    "name": F("model__name"),
    "version_number": F("number"),
    "run_id": Coalesce(
        NullIf("run_id", Value("")), KeyTextTransform("run_id", "version__lineage"), output_field=TextField()
    ),
    "source_path": F("source"),
}
_NUMBERS = {"=": "", "!=": "", ">": "__gt", ">=": "__gte", "<": "__lt", "<=": "__lte"}
_WORDS = {"=": "", "!=": "", "LIKE": "__like", "ILIKE": "__ilike", "IN": "__in", "NOT IN": "__in"}


@CharField.register_lookup
@TextField.register_lookup
class Like(Lookup):  # type: ignore[type-arg]
    """SQL's own LIKE, whose time is bounded; the same pattern as a regular expression could run for hours."""

    lookup_name = "like"

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, tuple[Any, ...]]:
        """Compare; a backslash means itself, as in MLflow's own store."""
        left, parameters = self.process_lhs(compiler, connection)
        return f"{left} {self.lookup_name.upper()} %s ESCAPE ''", (*parameters, self.rhs)


@CharField.register_lookup
@TextField.register_lookup
class Ilike(Like):
    """The same without regard to upper and lower case."""

    lookup_name = "ilike"


def models(text: str, order: Sequence[str]) -> QuerySet[RegisteredModel]:
    """Return the registered models that a filter describes."""
    rows = RegisteredModel.objects.select_related("owner")
    tags = Tag.objects.filter(model=OuterRef("pk"), registration=None)
    attributes = {key: F(name) for key, name in _MODELS.items()}
    columns = {"name": "name", "creation_timestamp": "created_at", "last_updated_timestamp": "created_at"}
    return _filtered(rows, text, attributes, tags).order_by(*_order(order, columns), "name")


def versions(text: str, order: Sequence[str]) -> QuerySet[Registration]:
    """Return the model versions that a filter describes, newest first."""
    rows = Registration.objects.select_related("model", "asked_by", "version", "refusal")
    tags = Tag.objects.filter(registration=OuterRef("pk"))
    columns = {
        "name": "model__name",
        "version_number": "number",
        "creation_timestamp": "asked_at",
        "last_updated_timestamp": "asked_at",
    }
    wanted = _order(order, columns) or ["-asked_at"]
    return _filtered(rows, text, _VERSIONS, tags).order_by(*wanted, "model__name", "-number")


def _filtered(rows: QuerySet[Any], text: str, attributes: Mapping[str, Any], tags: QuerySet[Tag]) -> QuerySet[Any]:
    position, more = 0, bool(text.strip())
    while more:
        clause = _CLAUSE.match(text, position)
        if clause is None:
            raise Invalid(f"Invalid clause in filter string at {text[position : position + 60]!r}.")
        name = f"clause{position}"
        key = clause["key"].strip('`"')
        if (clause["entity"] or "").startswith("tag"):
            value: Any = Subquery(tags.filter(key=key).order_by("-set_at", "-id").values("value")[:1])
        elif key in attributes:
            value = attributes[key]
        else:
            raise Invalid(f"Invalid attribute key '{key}'. Valid keys are {', '.join(attributes)}, or tags.<key>.")
        rows = rows.alias(**{name: value}).filter(_condition(name, key, clause))
        position, more = clause.end(), bool(clause["more"])
    return rows


def _condition(name: str, key: str, clause: re.Match[str]) -> Q:
    operator = " ".join(clause["operator"].upper().split())
    lookups = _NUMBERS if key == "version_number" else _WORDS
    if operator not in lookups or clause["value"].isdecimal() != (lookups is _NUMBERS):
        raise Invalid(f"{clause[0].strip()!r}: '{key}' is compared with {', '.join(lookups)} and a value of its kind.")
    found = Q(**{name + lookups[operator]: _value(operator, clause["value"])})
    # An absent value fulfils no comparison, not even an unequal one; except that what has no mark is no prompt.
    found = ~found & Q(**{f"{name}__isnull": False}) if operator in ("!=", "NOT IN") else found
    absent = (operator, clause["value"].strip("'\"")) in (("=", "false"), ("!=", "true")) and key == _IS_PROMPT
    return found | Q(**{f"{name}__isnull": True}) if absent else found


def _value(operator: str, text: str) -> Any:
    if text.isdecimal():
        return int(text)
    if operator in ("IN", "NOT IN"):
        return re.findall(r"'([^']*)'", text)
    return text[1:-1]


def _order(order: Sequence[str], columns: Mapping[str, str]) -> list[str]:
    found = []
    for item in order:
        key, _, direction = item.strip().partition(" ")
        direction = direction.strip().upper()
        if key not in columns or direction not in ("", "ASC", "DESC"):
            raise Invalid(f"Invalid order_by {item!r}. Order by {', '.join(columns)}, with ASC or DESC.")
        found.append(("-" if direction == "DESC" else "") + columns[key])
    return found


def page(rows: QuerySet[Any], size: int, token: str) -> tuple[list[Any], str]:
    """Return one page and the token of the next, empty after the last."""
    if size < 1 or (token and not (token.isdecimal() and len(token) < 10)):
        raise Invalid("max_results is at least 1, and page_token one that was answered before.")
    start = int(token or 0)
    found = list(rows[start : start + size + 1])
    return found[:size], str(start + size) if len(found) > size else ""
