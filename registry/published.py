"""Serve the published log: files alone, never the database, so that it can be copied, cached and read under any load.

Any web server can serve the same folder as `/log/`. Open to everybody unless the operator says otherwise
(LOG_IS_PUBLIC): it holds no personal data, and the more hold us to it the better.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from django.conf import settings
from django.http import FileResponse, Http404, HttpRequest
from django.utils.cache import patch_cache_control
from django.views.decorators.http import require_safe

from registry import proofs
from registry.ledger import LOGS
from registry.pages import needs
from registry.refusals import Mismatch
from registry.tlog.tiles import Tile

_YEAR = 31_536_000  # seconds: an immutable file may be kept so long
View = Callable[..., Any]


def _if_public(view: View) -> View:
    """Let everybody in, or only people who may read the registry, as the operator chose."""
    guarded = needs("registry.read")(view)

    def chosen(request: HttpRequest, **kwargs: str) -> Any:
        return (view if settings.LOG_IS_PUBLIC else guarded)(request, **kwargs)

    return chosen


@require_safe
@_if_public
def file(request: HttpRequest, name: str) -> FileResponse:
    """Serve `<origin>/checkpoint`, which changes, or `<origin>/tile/…`, which never does (c2sp.org/tlog-tiles)."""
    origin, part = _known(name)
    path: Path = settings.PUBLISHED_LOG / origin / part
    if part == "checkpoint":
        return _served(path, "text/plain; charset=utf-8", no_cache=True)
    return _served(path, "application/octet-stream", public=True, max_age=_YEAR, immutable=True)


@require_safe
@_if_public
def policy(request: HttpRequest) -> FileResponse:
    """Serve the operator's trust policy. Who verifies pins a copy that reached them by another way."""
    return _served(settings.LOG_POLICY_FILE, "text/plain; charset=utf-8", no_cache=True)


def _known(name: str) -> tuple[str, str]:
    """Return origin and path of a file that the published log can have; whatever else is asked for is not there."""
    for log in LOGS:
        origin, part = proofs.origin(log), name.removeprefix(f"{proofs.origin(log)}/")
        if part == "checkpoint" and part != name:
            return origin, part
        try:
            if part != name and Tile.parse(part):
                return origin, part
        except Mismatch:
            continue
    raise Http404("The published logs hold no such file. Each has `<origin>/checkpoint` and `<origin>/tile/…`.")


def _served(path: Path, kind: str, **caching: bool | int) -> FileResponse:
    try:
        answer = FileResponse(path.open("rb"), content_type=kind)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise Http404("This is not published, or not yet; a partial tile gives way to the full one.") from error
    patch_cache_control(answer, **caching)
    return answer
