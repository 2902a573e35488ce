"""What became of the attacks, as Markdown: in the README between two marks."""

import re
from dataclasses import dataclass

from tests.attacks import LIMITS, Attack
from tests.attacks.everything import ordered
from tests.running import ROOT

README = ROOT / "README.md"
BEGIN, END = "<!-- attacks -->", "<!-- /attacks -->"
HEAD = "| attack, carried out by `make attack` | what caught it |"


@dataclass(frozen=True)
class Outcome:
    """One attack: what caught it (nothing: None), why it could not be carried out, how long it took."""

    attack: Attack
    caught: str | None
    broken: str = ""
    seconds: float = 0.0

    @property
    def fault(self) -> str:
        """Why this fails the command; nothing when it was caught, or is a limit that we know."""
        if self.broken:
            return f"could not be carried out: {self.broken}"
        known = self.attack.name in LIMITS
        if self.caught is None:
            return "" if known else "NOTHING CAUGHT IT"
        return "is caught by now: take it from LIMITS" if known else ""


def markdown(outcomes: list[Outcome]) -> str:
    """Return the table: what caught each attack, or why nothing does."""
    rows = [f"| {o.attack.title} | {_cell(o.caught or f'**nothing**: {LIMITS[o.attack.name]}')} |" for o in outcomes]
    return "\n".join([HEAD, "|---|---|", *rows])


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;")


def shown() -> list[str]:
    """Return the attacks that the README lists."""
    text = README.read_text()
    part = text[text.index(BEGIN) : text.index(END)]
    return re.findall(r"^\| (.*?) \| .* \|$", part.replace(HEAD, ""), flags=re.M)


def expected() -> list[str]:
    """Return the attacks that there are, in the order of the table."""
    return [attack.title for attack in ordered()]


def write(outcomes: list[Outcome]) -> None:
    """Put the tables between the README's marks."""
    text = README.read_text()
    before, rest = text.split(BEGIN)
    README.write_text(f"{before}{BEGIN}\n{markdown(outcomes)}\n{END}{rest.split(END)[1]}")
