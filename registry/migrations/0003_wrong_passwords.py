"""A brake on guessing passwords."""

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

import registry.ids
from registry.append_only import AppendOnly


class Migration(migrations.Migration):
    """One more table whose rows are for ever."""

    dependencies = [("registry", "0002_append_only")]
    operations = [
        migrations.CreateModel(
            name="WrongPassword",
            fields=[
                (
                    "id",
                    models.UUIDField(default=registry.ids.uuid7, primary_key=True, serialize=False),
                ),
                ("source", models.CharField(max_length=64)),
                ("at", models.DateTimeField()),
                (
                    "user",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="wrong_passwords",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "indexes": [models.Index(fields=["user", "source", "at"], name="wrong_password_source")],
            },
        ),
        AppendOnly("WrongPassword"),
    ]
