"""Reading a log file that another process writes, line by line, across its rotation."""

import os
from pathlib import Path
from typing import BinaryIO, Final

_CHUNK_BYTES: Final = 2**20


class Tail:
    """Follows one file from its beginning. Not for several threads."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: BinaryIO | None = None
        self._rest = b""

    def read(self) -> list[bytes]:
        """Give the lines that were completed since; none while there is no file. Raises OSError."""
        if self._file is None:
            try:
                self._file = self._path.open("rb")
            except FileNotFoundError:
                return []
        # Asked before reading: what was renamed by now gets no further lines after this reading.
        was_renamed = self._is_renamed()
        lines = self._lines(self._file)
        if was_renamed:
            self._file.close()
            self._file = None
            lines += self.read()
        return lines

    def close(self) -> None:
        """Let go of the file."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _is_renamed(self) -> bool:
        try:
            now = self._path.stat()
        except FileNotFoundError:
            return False  # in the middle of a rotation, or deleted: there may be more to read
        return self._file is not None and now.st_ino != os.fstat(self._file.fileno()).st_ino

    def _lines(self, file: BinaryIO) -> list[bytes]:
        found: list[bytes] = []
        while chunk := file.read(_CHUNK_BYTES):
            *whole, self._rest = (self._rest + chunk).split(b"\n")
            found += whole
        return found
