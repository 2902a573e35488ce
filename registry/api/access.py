"""Who may call an endpoint: bearer tokens for programs, the session for browsers, and one default-deny rule."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.utils import timezone
from rest_framework import authentication, exceptions, permissions
from rest_framework.request import Request

from registry import credentials, people
from registry.models import ServiceToken, User
from registry.refusals import NotAllowed

if TYPE_CHECKING:  # rest_framework.views reads the settings, and the settings name this module
    from rest_framework.views import APIView


class TokenAuthentication(authentication.BaseAuthentication):
    """`Authorization: Bearer csn_…`, the form that MLFLOW_TRACKING_TOKEN sends too."""

    def authenticate(self, request: Request) -> tuple[User, ServiceToken] | None:
        """Return the token and its owner; None when the request carries no bearer token."""
        scheme, _, secret = request.META.get("HTTP_AUTHORIZATION", "").partition(" ")
        if scheme.lower() != "bearer":
            return None
        token = _look_up(secret.strip())
        reason = people.reason_against(token, timezone.now()) if token else "This token was never issued here."
        if token is None or reason:
            raise exceptions.AuthenticationFailed(reason)
        return token.owner, token

    def authenticate_header(self, request: Request) -> str:
        """Make a missing or bad token answer 401 with this challenge."""
        return 'Bearer realm="countersign"'


def _look_up(secret: str) -> ServiceToken | None:
    """Ask the database, or in the scoring process what its watcher brought of it."""
    return credentials.of(secret) if settings.PROCESS == "scoring" else people.token_of(secret)


class SessionAuthentication(authentication.SessionAuthentication):
    """The browser's session, CSRF-protected; 401 without one."""

    def authenticate_header(self, request: Request) -> str:
        """Let the answer be 401, not 403, for somebody who has not signed in."""
        return 'Session realm="countersign"'


class HasPermission(permissions.BasePermission):
    """Each view says in `needs` what it takes, as one permission or one per method; without it nobody may call it.

    Several permissions in a tuple: any of them opens the view, which asks for more by `demand`.
    """

    def has_permission(self, request: Request, view: APIView) -> bool:
        """Ask the person's roles and, for a token, its scopes."""
        needed = _needed(request, view)
        if needed == "anyone":
            return True
        user = request.user
        if not user or not user.is_authenticated or needed is None:
            return False
        choices = needed if isinstance(needed, tuple) else (needed,)
        if any(holds(request, name) for name in choices):
            return True
        self.message = _lacking(request, " or ".join(choices))
        return False


def holds(request: Request, permission: str) -> bool:
    """Say whether the caller has a permission, and their token too."""
    token: Any = request.auth
    return request.user.has_perm(permission) and (token is None or permission in token.scopes)


def demand(request: Request, permission: str) -> None:
    """Raise NotAllowed unless the caller has a permission, and their token too."""
    if not holds(request, permission):
        raise NotAllowed(_lacking(request, permission))


def _lacking(request: Request, permission: str) -> str:
    return f"This needs the permission {permission}, which {request.user.get_username()} or this token does not hold."


def _needed(request: Request, view: APIView) -> str | tuple[str, ...] | None:
    needs: Any = getattr(view, "needs", None)
    return needs.get(request.method) if isinstance(needs, dict) else needs


def actor_of(request: Request) -> User:
    """Return the signed-in person, or the owner of the token."""
    user = request.user
    if not isinstance(user, User):
        raise exceptions.NotAuthenticated
    return user
