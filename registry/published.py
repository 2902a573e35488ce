"""Serve the published log: files alone, never the database, so that it can be copied, cached and read under any load.

Any web server can serve the same folder as `/log/`. Open to everybody unless the operator says otherwise
(LOG_IS_PUBLIC): it holds no personal data, and the more hold us to it the better.
"""

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

from django.conf import settings
from django.http import FileResponse, Http404, HttpRequest, HttpResponse
from django.utils.cache import get_conditional_response, patch_cache_control
from django.utils.http import http_date
from django.views.decorators.http import require_safe

from registry import proofs
from registry.ledger import LOGS
from registry.pages import needs
from registry.refusals import Mismatch
from registry.tlog.tiles import Tile

_YEAR = 31_536_000  # seconds: an immutable file may be kept so long
_SETTLED = 2.0  # seconds: a date in whole seconds does not tell two versions apart that are younger
View = Callable[..., Any]


def _if_public(view: View) -> View:
    """Let everybody in, or only people who may read the registry, as the operator chose."""
    guarded = needs("registry.read")(view)

    def chosen(request: HttpRequest, **kwargs: str) -> Any:
        return (view if settings.LOG_IS_PUBLIC else guarded)(request, **kwargs)

    return chosen


@require_safe
@_if_public
def file(request: HttpRequest, name: str) -> HttpResponse:
    """Serve `<origin>/checkpoint`, which changes, or `<origin>/tile/…`, which never does (c2sp.org/tlog-tiles)."""
    origin, part = _known(name)
    path: Path = settings.PUBLISHED_LOG / origin / part
    if part == "checkpoint":
        return _served(request, path, "text/plain; charset=utf-8", no_cache=True)
    return _served(request, path, "application/octet-stream", public=True, max_age=_YEAR, immutable=True)


@require_safe
@_if_public
def policy(request: HttpRequest) -> HttpResponse:
    """Serve the operator's trust policy. Who verifies pins a copy that reached them by another way."""
    return _served(request, settings.LOG_POLICY_FILE, "text/plain; charset=utf-8", no_cache=True)


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


def _served(request: HttpRequest, path: Path, kind: str, **caching: bool | int) -> HttpResponse:
    """Answer with a file, or that who asks has it already (304; RFC 9110 section 13).

    Shared caches may keep it only where everybody may have it.
    """
    try:
        file = path.open("rb")
    except (FileNotFoundError, NotADirectoryError) as error:
        raise Http404("This is not published, or not yet; a partial tile gives way to the full one.") from error
    answer = cast(HttpResponse, FileResponse(file, content_type=kind))  # all that is asked of it are its headers
    patch_cache_control(answer, **caching)
    if not settings.LOG_IS_PUBLIC:
        patch_cache_control(answer, private=True)  # in the place of `public`
    found = os.fstat(file.fileno())  # of the file that is open: the name may mean a newer one by now
    etag = f'"{found.st_ino:x}-{found.st_mtime_ns:x}-{found.st_size:x}"'
    modified = int(found.st_mtime) if time.time() - found.st_mtime > _SETTLED else None
    answer["ETag"] = etag
    if modified is not None:
        answer["Last-Modified"] = http_date(modified)
    chosen = get_conditional_response(request, etag=etag, last_modified=modified, response=answer)
    if chosen is answer:
        return answer
    file.close()
    return cast(HttpResponse, chosen)
