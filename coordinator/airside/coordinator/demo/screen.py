"""What the demo prints: plain lines anywhere, progress bars where there is a terminal."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from airside.sdk.cli import output, progress


class Screen:
    """Writes to stdout, line by line, at once."""

    def __init__(self) -> None:
        self._steps = 0

    def step(self, title: str) -> None:
        """Begin a numbered part."""
        self._steps += 1
        self.say(f"\n{self._steps}. {title}")

    def say(self, text: str = "") -> None:
        """Print a line."""
        output.line(text)
        sys.stdout.flush()

    def tell(self, text: str) -> None:
        """Print a line that belongs to the present part."""
        self.say(f"   {text}")

    def columns(self, rows: Sequence[Sequence[object]]) -> None:
        """Print rows in columns: numbers to the right, the rest to the left."""
        cells = [[output.plain(cell) for cell in row] for row in rows]
        widths = [max(len(row[column]) for row in cells) for column in range(len(cells[0]))] if cells else []
        for row, texts in zip(rows, cells, strict=True):
            aligned = (
                text.rjust(width) if isinstance(cell, int) else text.ljust(width)
                for cell, text, width in zip(row, texts, widths, strict=True)
            )
            self.tell("  ".join(aligned).rstrip())

    @contextmanager
    def progress(self, title: str, total: float) -> Iterator[progress.Show]:
        """Show progress; the function that is given takes how much is done by now."""
        if not sys.stderr.isatty():
            self.tell(f"{title} …")
        with progress.bar(f"   {title}", total, counted=False) as show:
            yield show
