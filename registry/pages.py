"""What every page needs: who may see it, one screenful of rows, ledger entries as lines to read."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import wraps
from typing import Any, TypeVar
from urllib.parse import urlencode
from uuid import UUID

from django.contrib.auth.decorators import login_required
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse

from registry import ledger, people
from registry.ids import is_identifier
from registry.models import LedgerEntry, RegisteredModel, Registration, User
from registry.refusals import Invalid, NotAllowed

SCREENFUL = 50
View = Callable[..., HttpResponse]
Row = TypeVar("Row", bound=Model)


def needs(*permissions: str) -> Callable[[View], View]:
    """Let only people in who are signed in and hold every permission; others read which one is missing."""

    def decorate(view: View) -> View:
        @login_required
        @wraps(view)
        def checked(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
            missing = [name for name in permissions if not request.user.has_perm(name)]
            if missing:
                raise NotAllowed(
                    f"This needs the permission {' and '.join(missing)}, which none of your roles gives you. "
                    "Somebody with such a role can do it, or ask who manages roles here."
                )
            return view(request, *args, **kwargs)

        return checked

    return decorate


def only_post(page: str, *kept: str) -> Callable[[View], View]:
    """Act on a form alone; who comes by the address (after signing in anew, or reloading) is led to its page.

    `kept`: which parts of the address the page's address has too.
    """

    def decorate(view: View) -> View:
        @wraps(view)
        def checked(request: HttpRequest, **kwargs: Any) -> HttpResponse:
            if request.method == "POST":
                return view(request, **kwargs)
            return redirect(page, **{name: kwargs[name] for name in kept})

        return checked

    return decorate


def person_of(request: HttpRequest) -> User:
    """Return who is signed in."""
    if not isinstance(request.user, User):
        raise NotAllowed("Sign in first.")
    return request.user


def screenful(rows: QuerySet[Row], size: int = SCREENFUL) -> tuple[list[Row], bool]:
    """Return the first rows, and whether there are more."""
    found = list(rows[: size + 1])
    return found[:size], len(found) > size


def kept(**chosen: str) -> str:
    """Return the filters of a list as the beginning of an address's query, for its links to other screens."""
    return urlencode({name: value for name, value in chosen.items() if value}) + "&"


def whole_number(text: str) -> int | None:
    """Return a whole number out of an address, None where none was given."""
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise Invalid(f"{text[:40]!r} is not a place in a list. Follow the links instead.")
    return int(text)


def identifier(text: str) -> UUID | None:
    """Return an identifier out of an address or a search field, None where none was given."""
    if not text.strip():
        return None
    try:
        return UUID(text.strip())
    except ValueError as error:
        raise Invalid(
            f"{text[:60]!r} is not an identifier: those look like 01890a5d-ac96-774b-bcce-b302099a8057."
        ) from error


@dataclass(frozen=True)
class Line:
    """A ledger entry, ready to be read. `index` is None until the sequencer gave it its place."""

    index: int | None
    log: str
    at: datetime
    event: str
    what: str
    who: str
    about: str
    about_url: str
    url: str


def lines(entries: Iterable[LedgerEntry]) -> list[Line]:
    """Return entries as lines, people and subjects by their names: three queries however many there are."""
    rows = list(entries)
    persons, subjects = _people(rows), _subjects(rows)
    return [_line(row, persons, subjects) for row in rows]


def _line(row: LedgerEntry, persons: dict[str, str], subjects: dict[str, tuple[str, str]]) -> Line:
    leaf = getattr(row, "leaf_row", None)
    kind, _, rest = row.subject.partition(":")
    plain = f"{kind} {rest[:12]}…" if len(rest) > 12 else f"{kind} {rest}"
    about, about_url = subjects.get(row.subject, (persons.get(row.subject, plain), ""))
    if kind == "decision" and is_identifier(rest):
        about_url = reverse("decision", args=[rest])
    noun, _, verb = row.event.partition(".")
    return Line(
        index=leaf.index if leaf else None,
        log=row.log,
        at=row.at,
        event=row.event,
        what=f"{noun} {verb}".replace("_", " ").capitalize(),
        who=persons.get(row.actor, row.actor.removeprefix("service:") + " (service)"),
        about=about,
        about_url=about_url,
        url=reverse("ledger-entry", args=[row.log, leaf.index]) if leaf else reverse("ledger-waiting", args=[row.uuid]),
    )


def _people(rows: list[LedgerEntry]) -> dict[str, str]:
    users = people.known(name for row in rows for name in (row.actor, row.subject))
    return {name: user.get_full_name() or user.username for name, user in users.items()}


def _subjects(rows: list[LedgerEntry]) -> dict[str, tuple[str, str]]:
    found = {}
    for version in (
        Registration.objects.filter(pk__in=ledger.identifiers("version", rows))
        .select_related("model")
        .only("number", "model__name")
    ):
        found[f"version:{version.pk}"] = (str(version), reverse("version", args=[version.model.name, version.number]))
    for model in RegisteredModel.objects.filter(pk__in=ledger.identifiers("model", rows)).only("name"):
        found[f"model:{model.pk}"] = (model.name, reverse("model", args=[model.name]))
    return found
