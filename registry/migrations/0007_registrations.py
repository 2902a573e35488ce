"""A number is asked for first and pinned later: registrations come before versions, which keep their identifiers.

Rows are never changed, so the registrations of versions that exist are new rows beside them.
"""

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

import registry.ids
from registry.append_only import AppendOnly

ASKED = """
INSERT INTO registry_registration
    (id, model_id, number, source, run_id, logged_model, run_link, description, tags, asked_by_id, asked_at)
SELECT id, model_id, number, coalesce(lineage ->> 'source', ''), coalesce(left(lineage ->> 'run_id', 64), ''),
    coalesce(left(lineage ->> 'model_id', 64), ''), coalesce(lineage ->> 'run_link', ''), description, '{}',
    registered_by_id, registered_at
FROM registry_modelversion;
SET CONSTRAINTS ALL IMMEDIATE;
SET CONSTRAINTS ALL DEFERRED;
"""
# A version repeats model and number of its registration, which is pinned or refused, never both: whoever comes second
# waits at the lock for the first, and then sees it.
PINNED = """
ALTER TABLE registry_registration ADD CONSTRAINT one_registration UNIQUE (id, model_id, number);
ALTER TABLE registry_modelversion ADD CONSTRAINT version_of_its_registration
    FOREIGN KEY (id, model_id, number) REFERENCES registry_registration (id, model_id, number);
CREATE FUNCTION countersign_one_end() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    registration uuid := (to_jsonb(NEW) ->> TG_ARGV[0])::uuid;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('end of registration:' || registration, 0));
    IF EXISTS (SELECT 1 FROM registry_modelversion WHERE id = registration)
        OR EXISTS (SELECT 1 FROM registry_registrationrefusal WHERE registration_id = registration) THEN
        RAISE EXCEPTION 'registration % was pinned or refused already: it ends once', registration
            USING ERRCODE = 'unique_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER one_end BEFORE INSERT ON registry_modelversion
    FOR EACH ROW EXECUTE FUNCTION countersign_one_end('id');
CREATE TRIGGER one_end BEFORE INSERT ON registry_registrationrefusal
    FOR EACH ROW EXECUTE FUNCTION countersign_one_end('registration_id');
ALTER TABLE registry_modelversion ENABLE ALWAYS TRIGGER one_end;
ALTER TABLE registry_registrationrefusal ENABLE ALWAYS TRIGGER one_end;
"""
UNPINNED = """
DROP TRIGGER one_end ON registry_registrationrefusal;
DROP TRIGGER one_end ON registry_modelversion;
DROP FUNCTION countersign_one_end();
ALTER TABLE registry_modelversion DROP CONSTRAINT version_of_its_registration;
ALTER TABLE registry_registration DROP CONSTRAINT one_registration;
"""


def _registration(column: str | None = None, **more: object) -> models.OneToOneField:
    return models.OneToOneField(
        db_column=column,
        on_delete=django.db.models.deletion.PROTECT,
        primary_key=True,
        serialize=False,
        to="registry.registration",
        **more,
    )


class Migration(migrations.Migration):
    """After this, each version has a registration of the same identifier, and tags and aliases point to that."""

    dependencies = [("registry", "0006_searched_entries")]
    operations = [
        migrations.CreateModel(
            name="Registration",
            fields=[
                ("id", models.UUIDField(default=registry.ids.uuid7, primary_key=True, serialize=False)),
                ("number", models.PositiveIntegerField()),
                ("source", models.TextField(blank=True)),
                ("run_id", models.CharField(blank=True, max_length=64)),
                ("logged_model", models.CharField(blank=True, max_length=64)),
                ("run_link", models.TextField(blank=True)),
                ("description", models.TextField(blank=True)),
                ("tags", models.JSONField()),
                ("asked_at", models.DateTimeField()),
                (
                    "asked_by",
                    models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, to=settings.AUTH_USER_MODEL),
                ),
                (
                    "model",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="registrations",
                        to="registry.registeredmodel",
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(fields=("model", "number"), name="one_registration_per_number")
                ],
            },
        ),
        migrations.CreateModel(
            name="RegistrationRefusal",
            fields=[
                ("registration", _registration(related_name="refusal")),
                ("kind", models.CharField(max_length=12)),
                ("reason", models.TextField()),
                ("refused_at", models.DateTimeField()),
            ],
        ),
        migrations.CreateModel(
            name="IntakeAttempt",
            fields=[
                ("id", models.UUIDField(default=registry.ids.uuid7, primary_key=True, serialize=False)),
                ("started_at", models.DateTimeField()),
                (
                    "registration",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="attempts",
                        to="registry.registration",
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="IntakeFile",
            fields=[
                ("id", models.UUIDField(default=registry.ids.uuid7, primary_key=True, serialize=False)),
                ("path", models.TextField()),
                ("mark", models.TextField()),
                ("sha256", models.CharField(max_length=64)),
                ("size", models.PositiveBigIntegerField()),
                ("stored_at", models.DateTimeField()),
                (
                    "registration",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="files",
                        to="registry.registration",
                    ),
                ),
            ],
        ),
        migrations.RunSQL(ASKED, migrations.RunSQL.noop),
        migrations.SeparateDatabaseAndState(
            state_operations=[
                migrations.RemoveField("modelversion", "id"),
                migrations.AddField("modelversion", "registration", _registration("id", related_name="version")),
            ]
        ),
        migrations.RunSQL(PINNED, UNPINNED),
        migrations.RenameField("tag", "version", "registration"),
        migrations.RenameField("alias", "version", "registration"),
        *(
            migrations.AlterField(
                name,
                "registration",
                models.ForeignKey(
                    null=True,
                    on_delete=django.db.models.deletion.PROTECT,
                    related_name=related,
                    to="registry.registration",
                ),
            )
            for name, related in (("tag", "tag_rows"), ("alias", "aliases"))
        ),
        AppendOnly("Registration", "IntakeAttempt", "IntakeFile", "RegistrationRefusal"),
    ]
