"""`countersign observe`: drift, performance and alerts of what serves."""

from typing import Any

import click

from governance.cli import options, output
from governance.cli.server import Server


@click.command()
@click.argument("model", required=False)
@options.as_json
def command(model: str | None, as_json: bool) -> None:
    """Show how my models do in production, or one model: its monitors, and the alerts nobody has answered."""
    answer = Server().ask("GET", "/api/v1/observations", params={"model": model} if model else {})
    lines = [line for found in answer["models"] for line in _model(found)]
    output.tell(
        answer, lines or ["No model of yours is registered. Name one: `countersign observe MODEL`."], as_json=as_json
    )


def _model(found: dict[str, Any]) -> list[str]:
    serving = found["serving"]
    lines = [f"{output.plain(found['model'])}  {f'version {serving} serves' if serving else 'nothing serves'}"]
    for run in found["monitors"]:
        values = ", ".join(
            f"{line['name']}{' (' + line['slice'] + ')' if line['slice'] else ''} {output.number(line['value'])}"
            for line in run["lines"]
        )
        told = f"{run['monitor']}: {values or 'not measured'}, {run['decisions']} decisions to {run['window_end'][:16]}"
        lines.append(f"  {output.word(run['verdict'], 12)}  {output.plain(told)}")
        for reason in run["reasons"]:
            lines += output.wrapped(reason, 16)
    for alert in found["alerts"]:
        lines.append(f"  {output.word('alert', 12)}  {output.plain(alert['kind'])}, since {alert['raised_at'][:16]}")
        lines += output.wrapped(alert["detail"], 16)
    return lines
