"""How the program ends: the exit codes, each with its meaning, and the failures that lead to them."""

from collections.abc import Sequence

OK, GATE, USAGE, REFUSED, UNREACHABLE, FAULT, INTERRUPTED = 0, 1, 2, 3, 4, 5, 130
MEANINGS = {
    OK: "done; of `check`: the gate is passed, with or without warnings",
    GATE: "`check`: the gate is not passed",
    USAGE: "the command line is not right",
    REFUSED: "the server refused it, or what it holds is not what was sent",
    UNREACHABLE: "the server does not answer, or not in time; the same again may work",
    FAULT: "a fault of this program, or a server of another release",
    INTERRUPTED: "interrupted; `register` goes on where it was when called again",
}


DEBUG = "COUNTERSIGN_DEBUG"  # set: faults are shown with their traceback


class Failure(Exception):
    """An end that is told in words: what, why, what next. `reasons`: each single reason, where there are several."""

    code = REFUSED

    def __init__(self, detail: str, *, title: str = "", status: int | None = None, reasons: Sequence[str] = ()) -> None:
        super().__init__(detail)
        self.detail, self.title, self.status, self.reasons = detail, title, status, list(reasons)


class Refused(Failure):
    """The server said no."""


class Unreachable(Failure):
    """The server does not answer, or not in time."""

    code = UNREACHABLE


class Misused(Failure):
    """What was given on the command line cannot be used."""

    code = USAGE
