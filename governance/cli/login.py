"""`countersign login`: ask the server who we are, then keep its address and the token."""

import os
import sys
from urllib.parse import urlsplit

import click

from governance.cli import credentials, options, output
from governance.cli.credentials import Account
from governance.cli.server import Server


@click.command()
@click.argument("url", required=False)
@click.option("--check", "only_check", is_flag=True, help="Only say who we are; store nothing.")
@options.as_json
def command(url: str | None, only_check: bool, as_json: bool) -> None:
    """Store the address of a server and a token, once the server accepts it.

    The token is read from COUNTERSIGN_TOKEN or MLFLOW_TRACKING_TOKEN, else from standard input, else asked for; it is
    never an argument, since others on the machine could read that. The file belongs to you alone (mode 0600).
    """
    account = _given(url) if url or not only_check else credentials.find()
    said = Server(account, patient=False).ask("GET", "/api/v1/whoami")
    path = None if only_check else credentials.store(account)
    answer = {"url": account.url, **said, "file": path and str(path)}
    ends = f", until {said['token']['expires_at'][:10]}" if said["token"] else ""
    lines = [
        f"{said['name']} ({', '.join(said['roles']) or 'no role'}) at {account.url}{ends}",
        f"May: {', '.join(said['permissions']) or 'nothing'}",
        *([f"Kept in {path}"] if path else []),
    ]
    output.tell(answer, lines, as_json=as_json)


def _given(url: str | None) -> Account:
    address = credentials.address(url or os.environ.get(credentials.URL, ""))
    host = urlsplit(address)
    if host.scheme == "http" and host.hostname not in ("127.0.0.1", "localhost", "::1"):
        output.note("Warning: without https, everybody on the way can read the token.")
    return credentials.account(address, _token())


def _token() -> str:
    found = credentials.from_environment()
    if not found and sys.stdin.isatty():
        found = click.prompt("Token", hide_input=True, err=True).strip()
    elif not found:
        found = sys.stdin.readline().strip()
    return found
