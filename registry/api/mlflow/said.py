"""What was said of models and numbers as it stands now: tags, aliases, descriptions. One statement for any rows.

Plain SQL, because composing as much by Django's expressions takes longer than a stock server takes to answer.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import connection

_TAGS = """(SELECT coalesce(json_agg(json_build_object('key', key, 'value', value)), '[]') FROM (
    SELECT DISTINCT ON (key) key, value FROM registry_tag WHERE {whose} ORDER BY key, set_at DESC, id DESC
) AS t WHERE value IS NOT NULL)"""
_TEXT = """LEFT JOIN LATERAL (
    SELECT text, set_at FROM registry_description WHERE {whose} ORDER BY set_at DESC, id DESC LIMIT 1
) AS d ON true"""
_ALIASES = """(
    SELECT DISTINCT ON (name) name, registration_id FROM registry_alias WHERE model_id = {model}
    ORDER BY name, set_at DESC, id DESC
) AS a"""
_OF_A_MODEL, _OF_A_VERSION = "model_id = m.id AND registration_id IS NULL", "registration_id = r.id"
# Only names of ours are put into these texts.
_MODELS = f"""
SELECT m.id, {_TAGS.format(whose=_OF_A_MODEL)}, d.text, d.set_at,
    (SELECT coalesce(json_agg(json_build_object('alias', a.name, 'version', r.number::text) ORDER BY a.name), '[]')
     FROM {_ALIASES.format(model="m.id")} JOIN registry_registration r ON r.id = a.registration_id),
    (SELECT id FROM registry_registration r WHERE r.model_id = m.id ORDER BY number DESC LIMIT 1)
FROM registry_registeredmodel m {_TEXT.format(whose=_OF_A_MODEL)} WHERE m.id = ANY(%s)
"""  # noqa: S608
_VERSIONS = f"""
SELECT r.id, {_TAGS.format(whose=_OF_A_VERSION)}, d.text, d.set_at,
    (SELECT coalesce(json_agg(a.name ORDER BY a.name), '[]') FROM {_ALIASES.format(model="r.model_id")}
     WHERE a.registration_id = r.id),
    v.lineage ->> 'run_id', v.lineage ->> 'model_id'
FROM registry_registration r LEFT JOIN registry_modelversion v ON v.id = r.id {_TEXT.format(whose=_OF_A_VERSION)}
WHERE r.id = ANY(%s)
"""  # noqa: S608


@dataclass(frozen=True)
class OfModel:
    """A model's tags and aliases as MLflow's messages; its description, if it was written anew; its newest number."""

    tags: list[dict[str, str]]
    text: str | None
    at: datetime | None
    aliases: list[dict[str, str]]
    newest: UUID | None


@dataclass(frozen=True)
class OfVersion:
    """The same of a number, and the run and the logged model that its files came from."""

    tags: list[dict[str, str]]
    text: str | None
    at: datetime | None
    aliases: list[str]
    run: str | None
    model: str | None


def of_models(identifiers: Collection[UUID]) -> dict[UUID, OfModel]:
    """Return what was said of each of these models."""
    return {row[0]: OfModel(*row[1:]) for row in _rows(_MODELS, identifiers)}


def of_versions(identifiers: Collection[UUID]) -> dict[UUID, OfVersion]:
    """Return what was said of each of these registrations."""
    return {row[0]: OfVersion(*row[1:]) for row in _rows(_VERSIONS, identifiers)}


def _rows(statement: str, identifiers: Collection[UUID]) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(statement, [list(identifiers)])
        return cursor.fetchall()
