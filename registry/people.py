"""Add people, give them roles, issue and check the tokens their programs carry."""

import hashlib
import secrets
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from django.contrib.auth.models import Group
from django.db import transaction

from registry import ledger
from registry.ledger import Event
from registry.models import ServiceToken, TokenRevocation, User, WrongPassword
from registry.refusals import Conflict, Invalid, NotAllowed, TooMany

LONGEST = timedelta(days=90)
PAUSE, MOST_WRONG = timedelta(minutes=15), 5  # after so many wrong passwords in this time, a source has to wait
# Every server reads these; a server that only scores has no right to read more of a person or a token.
_ASKED_OF_A_TOKEN = (
    *("scopes", "expires_at", "revocation__revoked_at"),
    *("owner__username", "owner__is_active", "owner__is_superuser"),
)
_PREFIX = "csn_"  # lets secret scanners recognise one of ours


@transaction.atomic
def add(*, username: str, name: str, password: str | None, roles: Sequence[str], by: str, now: datetime) -> User:
    """Add a person with their roles; without a password they cannot sign in (a service account)."""
    groups = list(Group.objects.filter(name__in=roles))
    unknown = set(roles) - {group.name for group in groups}
    if unknown or not roles:
        known = ", ".join(Group.objects.order_by("name").values_list("name", flat=True))
        raise Invalid(f"There is no role {', '.join(sorted(unknown)) or 'named'}. Choose from: {known}.")
    if User.objects.filter(username=username).exists():
        raise Conflict(f"Somebody is known as {username} already. Choose another username.")
    user = User(username=username, first_name=name, date_joined=now)
    if password is None:
        user.set_unusable_password()
    else:
        user.set_password(password)
    user.save()
    user.groups.set(groups)
    ledger.append(Event.PERSON_ADDED, subject=user.actor, actor=by, at=now, facts={"roles": sorted(roles)})
    return user


def roles_of(user: User) -> list[str]:
    """Return the names of a person's roles."""
    return sorted(user.groups.values_list("name", flat=True))


def known(actors: Iterable[str]) -> dict[str, User]:
    """Return the people among the names that entries use, by name; whatever names nobody is left out."""
    numbers = {name: name.removeprefix("user:") for name in actors if name.startswith("user:")}
    said = [int(text) for text in numbers.values() if text.isascii() and text.isdigit() and len(text) < 19]
    return {user.actor: user for user in User.objects.filter(pk__in=said)}


def demand_password(*, user: User, password: str, source: str, now: datetime) -> None:
    """Raise NotAllowed for a wrong password, and TooMany without looking at it after several wrong ones.

    `source`: from where it came (signing, or a keyed hash of an address): only that source has to wait, so that
    nobody keeps somebody else from working by guessing at their password.
    """
    recent = WrongPassword.objects.filter(user=user, source=source, at__gt=now - PAUSE).count()
    if recent >= MOST_WRONG:
        raise TooMany(
            f"{recent} wrong passwords were given within {PAUSE.seconds // 60} minutes. Nothing was done. Wait that "
            "long, or ask who manages people here."
        )
    if user.check_password(password):
        return
    with transaction.atomic():
        WrongPassword.objects.create(user=user, source=source, at=now)
        ledger.append(Event.PASSWORD_REFUSED, subject=user.actor, actor="service:web", at=now, facts={"source": source})
    raise NotAllowed("The password is not right. Nothing was done; enter it again.")


@transaction.atomic
def issue_token(
    *, owner: User, name: str, scopes: Sequence[str], days: int, by: User, now: datetime
) -> tuple[ServiceToken, str]:
    """Issue a token that can do at most what its owner may; return it and its secret, which is shown only once."""
    if not 0 < days <= LONGEST.days:
        raise Invalid(f"A token lives between 1 and {LONGEST.days} days; ask for a new one before it ends.")
    beyond = [scope for scope in scopes if not owner.has_perm(scope)]
    if beyond or not scopes:
        raise NotAllowed(f"{owner.username} may not do {', '.join(beyond) or 'nothing'}; choose scopes they hold.")
    secret = _PREFIX + secrets.token_urlsafe(32)
    token = ServiceToken.objects.create(
        name=name,
        owner=owner,
        secret_digest=_digest(secret),
        scopes=sorted(scopes),
        created_at=now,
        expires_at=now + timedelta(days=days),
    )
    facts = {"token": str(token.id), "scopes": token.scopes, "expires": token.expires_at.isoformat()}
    ledger.append(Event.TOKEN_ISSUED, subject=owner.actor, actor=by.actor, at=now, facts=facts)
    return token, secret


@transaction.atomic
def revoke_token(*, token: ServiceToken, by: User, now: datetime) -> None:
    """End a token now; ending it twice changes nothing."""
    _, made = TokenRevocation.objects.get_or_create(token=token, defaults={"revoked_by": by, "revoked_at": now})
    if made:
        facts = {"token": str(token.id)}
        ledger.append(Event.TOKEN_REVOKED, subject=token.owner.actor, actor=by.actor, at=now, facts=facts)


def token_of(secret: str) -> ServiceToken | None:
    """Return the token of a secret, revoked or expired ones included; None for a secret never issued."""
    rows = ServiceToken.objects.select_related("owner", "revocation").only(*_ASKED_OF_A_TOKEN)
    return rows.filter(secret_digest=_digest(secret)).first()


def tokens(scopes: Sequence[str], now: datetime) -> list[ServiceToken]:
    """Return the tokens with any of these scopes that are neither expired nor revoked, and whose owner is active.

    Tokens of the same owner share one object for them.
    """
    rows = ServiceToken.objects.select_related("owner", "revocation").only(*_ASKED_OF_A_TOKEN, "secret_digest")
    found = list(rows.filter(scopes__overlap=list(scopes), expires_at__gt=now, revocation=None, owner__is_active=True))
    owners: dict[int, User] = {}
    for token in found:
        token.owner = owners.setdefault(token.owner_id, token.owner)
    return found


def reason_against(token: ServiceToken, now: datetime) -> str | None:
    """Return why a token is not accepted any more."""
    if token.expires_at <= now:
        return f"This token expired at {token.expires_at:%Y-%m-%d %H:%M} UTC. Ask its owner to issue a new one."
    if hasattr(token, "revocation"):
        return "This token was revoked. Ask its owner to issue a new one."
    if not token.owner.is_active:
        return "The owner of this token is no longer active."
    return None


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
