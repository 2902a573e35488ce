"""MLflow's filters and orders, as querysets.

name LIKE 'fraud%' AND tags.team = 'cards' AND version_number > 3 AND run_id IN ('a', 'b')
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from django.db.models import CharField, Exists, F, Lookup, OuterRef, Q, QuerySet, Subquery, TextField, Value
from django.db.models.fields.json import KT, KeyTextTransform
from django.db.models.functions import Coalesce, Greatest, NullIf

from registry.api.mlflow import answers, grammar
from registry.api.mlflow.grammar import Clause
from registry.models import Description, ModelVersion, RegisteredModel, Registration, Tag
from registry.refusals import Invalid

IS_PROMPT = "mlflow.prompt.is_prompt"  # clients ask for models that are not prompts; none of ours is
_NUMBERS = {"=": "", "!=": "", ">": "__gt", ">=": "__gte", "<": "__lt", "<=": "__lte"}
_WORDS = {"=": "", "!=": "", "LIKE": "__like", "ILIKE": "__ilike", "IN": "__in", "NOT IN": "__in"}
_OF_TAGS = {name: _WORDS[name] for name in ("=", "!=", "LIKE", "ILIKE")}
_SHOWN = ("name", "description", "created_at", "owner__username")
_UNEQUAL = ("!=", "NOT IN")
_ENDED = Coalesce("version__registered_at", "refusal__refused_at", "asked_at")


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
    """Return the registered models that a filter describes, by name unless another order is asked for."""
    rows = RegisteredModel.objects.select_related("owner").only(*_SHOWN)
    newest = Registration.objects.filter(model=OuterRef("pk")).order_by("-number").values("asked_at")[:1]
    touched = Greatest("created_at", Subquery(newest), _described(model=OuterRef("pk"), registration=None))
    columns = {"name": F("name"), "creation_timestamp": F("created_at"), "last_updated_timestamp": touched}
    for clause in grammar.models(text):
        rows = rows.filter(_tagged(clause, "model") if clause.of_tag else _word("name")(clause))
    return rows.order_by(*_order(grammar.order_of_models(order), columns), "name")


def versions(text: str, order: Sequence[str]) -> QuerySet[Registration]:
    """Return the model versions that a filter describes, newest first unless another order is asked for."""
    rows = answers.selected()
    touched = Greatest("asked_at", _ENDED, _described(registration=OuterRef("pk")))
    columns = {
        "name": F("model__name"),
        "version_number": F("number"),
        "creation_timestamp": F("asked_at"),
        "last_updated_timestamp": touched,
    }
    for clause in grammar.versions(text):
        rows = rows.filter(_tagged(clause, "registration") if clause.of_tag else _OF_VERSIONS[clause.key](clause))
    wanted = _order(grammar.order_of_versions(order), columns) or [F("asked_at").desc()]
    return rows.order_by(*wanted, "model__name", "-number")


def _described(**whose: Any) -> Subquery:
    """Return when something was described last; NULL, which Greatest passes over, when it never was."""
    return Subquery(Description.objects.filter(**whose).order_by("-set_at", "-id").values("set_at")[:1])


def page(rows: QuerySet[Any], size: int, token: str) -> tuple[list[Any], str]:
    """Return one page and the token of the next, empty after the last."""
    start = grammar.offset(token)
    found = list(rows[start : start + size + 1])
    return found[:size], grammar.token(start + size) if len(found) > size else ""


def _word(field: str) -> Callable[[Clause], Q]:
    return lambda clause: _compared(field, clause, _WORDS)


def _number(clause: Clause) -> Q:
    try:
        value = int(str(clause.value))
    except ValueError as error:
        raise Invalid(f"'{clause.key}' is compared with a whole number, not {clause.value!r}.") from error
    beyond = min(max(value, -(1 << 31)), (1 << 31) - 1)  # no version has such a number: comparisons stay true
    return _compared("number", Clause(clause.key, clause.comparator, beyond, False), _NUMBERS)


def _run(clause: Clause) -> Q:
    """Compare with the run that was named, or that the tracking server knew; one that is absent fulfils nothing."""
    if clause.comparator in ("=", "IN"):
        asked = Registration.objects.filter(_compared("run_id", clause, _WORDS))
        pinned = ModelVersion.objects.alias(run=KT("lineage__run_id")).filter(_compared("run", clause, _WORDS))
        return Q(pk__in=asked.values("pk").union(pinned.values("pk")))
    pinned_run = NullIf(KeyTextTransform("run_id", "version__lineage"), Value(""))
    known = Coalesce(NullIf("run_id", Value("")), pinned_run, output_field=TextField())
    rows = Registration.objects.alias(run=known).filter(_compared("run", clause, _WORDS), run__isnull=False)
    return Q(pk__in=rows.values("pk"))


_OF_VERSIONS: Mapping[str, Callable[[Clause], Q]] = {
    "name": _word("model__name"),
    "version_number": _number,
    "run_id": _run,
    "source_path": _word("source"),
}


def _tagged(clause: Clause, of: str) -> Q:
    """Compare with a tag as it stands now; an absent one fulfils no comparison, save that it marks no prompt."""
    if clause.key == IS_PROMPT:
        absent = (clause.comparator, clause.value) in (("=", "false"), ("!=", "true"))
        return Q() if absent else Q(pk__in=[])
    same = {"key": clause.key, of: OuterRef(of), **({"registration": None} if of == "model" else {})}
    later = Q(set_at__gt=OuterRef("set_at")) | Q(set_at=OuterRef("set_at"), pk__gt=OuterRef("pk"))
    rows = Tag.objects.filter(_compared("value", clause, _OF_TAGS), key=clause.key, value__isnull=False)
    rows = rows.filter(registration=None) if of == "model" else rows.filter(registration__isnull=False)
    return Q(pk__in=rows.filter(~Exists(Tag.objects.filter(later, **same))).values(of))


def _compared(field: str, clause: Clause, lookups: Mapping[str, str]) -> Q:
    if clause.comparator not in lookups or isinstance(clause.value, tuple) != clause.comparator.endswith("IN"):
        raise Invalid(f"Invalid comparator for '{clause.key}': {clause.comparator}. Choose from {', '.join(lookups)}.")
    found = Q(**{field + lookups[clause.comparator]: clause.value})
    return ~found if clause.comparator in _UNEQUAL else found


def _order(order: Sequence[tuple[str, bool]], columns: Mapping[str, Any]) -> list[Any]:
    return [columns[key].asc() if ascending else columns[key].desc() for key, ascending in order]
