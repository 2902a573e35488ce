"""People and the tokens their programs carry. Roles are Django groups."""

from django.contrib.auth.models import AbstractUser
from django.contrib.postgres.fields import ArrayField
from django.db import models

from registry.ids import uuid7


def actor(person: int) -> str:
    """Return the stable name the ledger knows a person by, from their number alone: no personal data."""
    return f"user:{person}"


class User(AbstractUser):
    """Somebody who signs in. Mutable: passwords, names and group membership change; every change is entered."""

    @property
    def actor(self) -> str:
        """What the ledger calls this person."""
        return actor(self.pk)


class ServiceToken(models.Model):
    """A program's credential: only the SHA-256 of its secret is kept. Born complete; ends by expiry or revocation."""

    id = models.UUIDField(primary_key=True, default=uuid7)
    name = models.CharField(max_length=100)
    owner = models.ForeignKey(User, on_delete=models.PROTECT, related_name="tokens")
    secret_digest = models.CharField(max_length=64, unique=True)
    scopes = ArrayField(models.CharField(max_length=100))
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField()


class TokenRevocation(models.Model):
    """The end of a token before its time."""

    token = models.OneToOneField(ServiceToken, primary_key=True, on_delete=models.PROTECT, related_name="revocation")
    revoked_by = models.ForeignKey(User, on_delete=models.PROTECT)
    revoked_at = models.DateTimeField()


class WrongPassword(models.Model):
    """Somebody gave a wrong password for an account; too many from one source make that source wait.

    `source`: "signing", or a keyed hash of the network address that tried to sign in.
    """

    id = models.UUIDField(primary_key=True, default=uuid7)
    user = models.ForeignKey(User, on_delete=models.PROTECT, related_name="wrong_passwords")
    source = models.CharField(max_length=64)
    at = models.DateTimeField()

    class Meta:
        indexes = [models.Index(fields=["user", "source", "at"], name="wrong_password_source")]
