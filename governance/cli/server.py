"""Speak HTTP to the platform: tries again what may be tried again, and turns every problem into words.

Problems come as RFC 9457 (`detail`, `reasons`) or in MLflow's form (`error_code`, `message`).
"""

import time
from collections.abc import Callable, Iterator
from itertools import count
from typing import Any
from urllib.parse import quote

import httpx

from governance.cli import credentials, output
from governance.cli.ends import Refused, Unreachable

PATIENCE = httpx.Timeout(300, connect=5)
SILENT = (0.5, 1, 2, 4)  # seconds between attempts to reach a server that does not answer
BUSY, LONGEST = 6, 8.0  # how often one that answers "not now" is asked again, and after how many seconds at most
_PASSING = (429, 502, 503, 504)
_SAFE = ("GET", "PUT", "HEAD")  # the same again does no harm
Body = Callable[[], Iterator[bytes]]


class Server:
    """The platform, as one account sees it."""

    def __init__(self, account: credentials.Account | None = None, *, patient: bool = True) -> None:
        self.account = account or credentials.find()
        self._silent = SILENT if patient else ()
        self._busy = BUSY if patient else 0
        self._client = httpx.Client(
            base_url=self.account.url,
            headers={"Authorization": f"Bearer {self.account.token}", "User-Agent": "countersign-cli"},
            timeout=PATIENCE,
        )

    def ask(self, method: str, path: str, **sent: Any) -> Any:
        """Return the JSON of an answer; Refused or Unreachable says why there is none."""
        answer = self.send(method, path, **sent)
        try:
            return answer.json() if answer.content else None
        except ValueError as error:
            raise Refused(
                f"{self.account.url} answered something that is not JSON. Is it a Countersign server?"
            ) from error

    def send(self, method: str, path: str, *, body: Body | None = None, **sent: Any) -> httpx.Response:
        """Return a good answer; `body` gives the bytes anew for each attempt."""
        for attempt in count():
            try:
                answer = self._client.request(method, path, **sent, content=body and body())
            except httpx.TransportError as error:
                if attempt >= len(self._silent) or not _harmless(method, error):
                    raise self._unreachable(error) from error
                pause = self._silent[attempt]
            else:
                if answer.is_success:
                    return answer
                if attempt >= self._busy or method not in _SAFE or answer.status_code not in _PASSING:
                    raise problem(answer)
                pause = _pause(answer, attempt)
            output.note(f"{self.account.url} does not take it now; trying again in {pause:g} s …")
            time.sleep(pause)
        raise AssertionError("the last attempt ends the loop")

    def until(
        self, path: str, done: Callable[[Any], bool], *, seconds: float, what: str, params: Any = None
    ) -> Iterator[Any]:
        """Yield the answers of an address until one is `done`, ever more seldom; Unreachable after `seconds`."""
        end, pause = time.monotonic() + seconds, 0.2
        while True:
            found = self.ask("GET", path, params=params)
            yield found
            if done(found):
                return
            if time.monotonic() + pause > end:
                raise Unreachable(
                    f"{what} took longer than {seconds:g} seconds. Ask again, or give a longer --timeout."
                )
            time.sleep(pause)
            pause = min(pause * 1.5, 3)

    def _unreachable(self, error: httpx.TransportError) -> Unreachable:
        why = str(error) or type(error).__name__
        return Unreachable(f"{self.account.url} does not answer ({why}). Is the address right, and the server running?")


def problem(answer: httpx.Response) -> Refused | Unreachable:
    """Return what an answer that is not a good one says."""
    status = answer.status_code
    kind = Unreachable if status in _PASSING else Refused
    try:
        body = answer.json()
    except ValueError:
        body = {}
    body = body if isinstance(body, dict) else {}
    detail = body.get("detail") or body.get("message") or f"The server answered {status} {answer.reason_phrase}."
    if answer.is_redirect:
        detail = f"The server answered with a redirect to {answer.headers.get('Location', '?')}. Use that address."
    if status == 401:
        detail = f"{detail} Sign in with `countersign login`, or set COUNTERSIGN_TOKEN to a token that is valid here."
    reasons = [str(reason.get("detail", reason)) for reason in body.get("reasons", ()) if isinstance(reason, dict)]
    reasons = [] if reasons == [detail] else reasons
    return kind(
        str(detail), title=str(body.get("title") or body.get("error_code") or ""), status=status, reasons=reasons
    )


def version_path(model: str, number: int | None = None) -> str:
    """Return the address of a model, or of one of its versions."""
    path = f"/api/v1/models/{quote(model, safe='')}"
    return path if number is None else f"{path}/versions/{number}"


def _harmless(method: str, error: httpx.TransportError) -> bool:
    return method in _SAFE or isinstance(error, httpx.ConnectError | httpx.ConnectTimeout)


def _pause(answer: httpx.Response, attempt: int) -> float:
    """Return for how many seconds to leave the server alone: as it asks, and twice as long each time."""
    said = answer.headers.get("Retry-After", "")
    return float(min((float(said) if said.isdigit() else 1) * 2**attempt, LONGEST))
