"""A file lent to a library that reads in its own way: it stays open, and how far it was read is known."""

import io
from typing import IO


class Borrowed(io.RawIOBase):
    """Reads another file from a place of its own; closing it closes nothing."""

    def __init__(self, file: IO[bytes]) -> None:
        self.lender, self.place = file, 0
        self.size = file.seek(0, io.SEEK_END)

    def readable(self) -> bool:
        """Say that it can be read."""
        return True

    def seekable(self) -> bool:
        """Say that it can be sought in."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to a place, as files do."""
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self.place, io.SEEK_END: self.size}[whence]
        self.place = max(0, start + offset)
        return self.place

    def tell(self) -> int:
        """Return the place."""
        return self.place

    def readinto(self, buffer) -> int:  # type: ignore[no-untyped-def]
        """Read as much as there is room for."""
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def read(self, size: int = -1) -> bytes:
        """Read so many bytes, or all that are left."""
        self.lender.seek(self.place)
        data = self.lender.read(size)
        self.place += len(data)
        return data
