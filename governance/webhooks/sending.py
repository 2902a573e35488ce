"""Send a message once, and say what became of it: nothing here decides what happens next."""

import time
from dataclasses import dataclass

import httpx
from django.conf import settings

from governance.webhooks.messages import Message
from registry import outbound
from registry.refusals import Invalid, Refusal

PATIENCE = 10.0  # seconds for each step, and for all of them together
_KEPT = 500  # characters of an answer
_AGAIN = {408, 425, 429}  # and 5xx: what may pass by itself
_LONGEST_WAIT = 3600


@dataclass(frozen=True)
class Answer:
    """What came back. `final`: sending it again would not help; `wait`: seconds that the receiver asked for."""

    milliseconds: int
    status: int | None = None
    text: str = ""
    error: str = ""
    final: bool = False
    wait: int = 0


def send(message: Message) -> Answer:
    """Post a message, follow no redirect, read the beginning of the answer."""
    began = time.perf_counter()

    def took() -> int:
        return int((time.perf_counter() - began) * 1000)

    headers = {"Content-Type": "application/json", "User-Agent": "Countersign", **message.headers}
    try:
        with outbound.client(allowed=settings.WEBHOOK_ALLOWED_HOSTS, timeout=PATIENCE) as client:
            request = client.build_request("POST", message.url, headers=headers, content=message.body)
            with outbound.deadline(request, PATIENCE):
                answer = client.send(request, stream=True)
                text = _beginning(answer, message.secret)
                answer.close()
    except Refusal as refusal:
        return Answer(took(), error=refusal.detail, final=isinstance(refusal, Invalid))
    except httpx.TransportError as error:
        return Answer(took(), error=f"The receiver did not answer ({type(error).__name__}): {error}"[:_KEPT])
    again = answer.status_code in _AGAIN or answer.status_code >= 500
    redirect = f"It redirects, which is not followed: {answer.headers.get('Location', '')}"[:_KEPT]
    return Answer(
        took(),
        status=answer.status_code,
        text=text,
        error=redirect if answer.is_redirect else "",
        final=not again,
        wait=_asked(answer.headers.get("Retry-After", "")),
    )


def _beginning(answer: httpx.Response, secret: str) -> str:
    """Return the first characters of an answer, without the secret if the receiver echoes it."""
    data = b""
    for chunk in answer.iter_raw(1024):
        data += chunk
        if len(data) > 4 * _KEPT + len(secret):
            break
    text = data.decode(errors="replace").replace("\0", "")
    return (text.replace(secret, "…") if secret else text)[:_KEPT]


def _asked(text: str) -> int:
    return min(int(text), _LONGEST_WAIT) if text.isascii() and text.isdigit() and len(text) < 6 else 0
