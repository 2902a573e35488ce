"""How far a command is, on the terminal: a few lines here, so that servers need no library for it."""

import time
from typing import TextIO

_WIDTH, _EVERY = 30, 0.1  # characters of a bar; seconds between two pictures of it


class Bar:
    """Draws a bar on a terminal; elsewhere, such as in a log, a line at each quarter."""

    def __init__(self, stream: TextIO) -> None:
        self.stream, self.live = stream, stream.isatty()
        self.doing, self.began, self.drawn, self.quarter = "", 0.0, 0.0, -1

    def __call__(self, doing: str, done: int, of: int) -> None:
        """Show how much of something is done."""
        now = time.monotonic()
        if doing != self.doing:
            self.close()
            self.doing, self.began, self.quarter = doing, now, -1
        share = min(1.0, done / of) if of else 1.0
        if self.live and (share == 1 or now - self.drawn > _EVERY):
            filled = round(share * _WIDTH)
            self.stream.write(f"\r{doing:<17} {'█' * filled}{'░' * (_WIDTH - filled)} {share:4.0%}  {self._took(now)}")
            self.stream.flush()
            self.drawn = now
        elif not self.live and int(share * 4) > self.quarter:
            self.quarter = int(share * 4)
            self.stream.write(f"{doing} {share:.0%} {self._took(now)}\n")

    def _took(self, now: float) -> str:
        seconds = int(now - self.began)
        return f"{seconds // 60}:{seconds % 60:02}"

    def close(self) -> None:
        """End the line of a bar."""
        if self.live and self.doing:
            self.stream.write("\n")
        self.doing = ""
