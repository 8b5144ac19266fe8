"""Which files a snapshot is made of, and when they are merged.

A snapshot must cost no more when the store is large. So rows that came since the last one go into a small file of
their own, small files are taken up into larger ones as they pile up, and each row is written a few times in all: about
log16 of the number of rows.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

_FACTOR: Final = 16
_LEVELS: Final = 5


@dataclass(frozen=True, slots=True)
class Part:
    """One Parquet file: rows of one table that were changed last at log positions over `first` and up to `last`.

    A durable part is on disk for certain and may be used after a restart.
    """

    file: str
    first: int
    last: int
    rows: int
    durable: bool = False


Parts = tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class MergePolicy:
    """How large files are; all in rows, but for `max_deltas`.

    `segment` is what a file must have to be worth keeping across a restart, `inline` what may be written again while a
    query waits (about 20 ms). Over a keyed table's base may lie `min_delta`, or a quarter of the base.
    """

    segment: int = 65_536
    inline: int = 16_384
    min_delta: int = 10_000
    max_deltas: int = 12

    def absorbed(self, parts: Sequence[Part], new_rows: int) -> int:
        """Tell how many of the last parts are written again together with so many new rows."""
        total, count = new_rows, 0
        for part in reversed(parts):
            if part.durable or part.rows > total or total + part.rows > self.inline:
                break
            total += part.rows
            count += 1
        return count

    def mergeable(self, parts: Sequence[Part], *, keyed: bool) -> slice | None:
        """Tell which neighbours should become one part now; None when all is well."""
        return self._mergeable_keyed(parts) if keyed else self._mergeable_appended(parts)

    def _mergeable_appended(self, parts: Sequence[Part]) -> slice | None:
        for level in range(_LEVELS):
            threshold = self.segment * _FACTOR**level
            edges = [-1, *(n for n, part in enumerate(parts) if part.rows >= threshold), len(parts)]
            for before, after in pairwise(edges):
                run = parts[before + 1 : after]
                if len(run) > 1 and sum(part.rows for part in run) >= threshold:
                    return slice(before + 1, after)
        return None

    def _mergeable_keyed(self, parts: Sequence[Part]) -> slice | None:
        """Deltas go into the base when they are many rows, and into each other when they are many files."""
        base, deltas = parts[:1], parts[1:]
        if sum(part.rows for part in deltas) > max(self.min_delta, base[0].rows // 4 if base else 0):
            return slice(0, len(parts))
        if len(deltas) > self.max_deltas:
            return slice(1, len(parts))
        return None
