"""Who the caller is here, and what they may do: what a program asks before it begins."""

from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from registry import people
from registry.api.access import actor_of


class WhoAmI(APIView):
    """The person or token that asks."""

    needs = "anyone"  # who is nobody here is told so, with 401

    def get(self, request: Request) -> Response:
        """Answer name, roles and permissions; of a token its name, its end, and only what its scopes allow."""
        user = actor_of(request)
        token: Any = request.auth
        held = user.get_all_permissions()
        return Response(
            {
                "username": user.username,
                "name": user.get_full_name() or user.username,
                "roles": people.roles_of(user),
                "permissions": sorted(held if token is None else held & set(token.scopes)),
                "token": token and {"name": token.name, "expires_at": token.expires_at},
            }
        )
