"""What readers of the log receive."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from airside.events.wire import Micros, Record


@dataclass(frozen=True, slots=True)
class Poison:
    """A log entry that is no event: `reason` says why, `data` is its body as it stands."""

    position: int
    received: Micros
    subject: str
    data: bytes
    reason: str


@dataclass(frozen=True, slots=True)
class Batch:
    """Consecutive log entries, in order, without a gap: each is in `records` or in `poison`."""

    records: list[Record]
    poison: list[Poison]
    last_position: int
    last_received: Micros
    first_position: int = field(default=0)

    def __len__(self) -> int:
        return len(self.records) + len(self.poison)


@dataclass(frozen=True, slots=True)
class Head:
    """Where the log stands. `created` tells one incarnation of the stream from another."""

    created: str
    first: int
    last: int
    bytes: int = 0


@dataclass(frozen=True, slots=True)
class Appended:
    """What an append did: how many were new, how many were known, and the positions of the new ones."""

    accepted: int
    duplicates: int
    first: int | None = None
    last: int | None = None

    def plus(self, placed: Iterable[tuple[int, bool]]) -> "Appended":
        """Count further messages, each given as its position and whether it was known already."""
        positions = [(position, known) for position, known in placed]
        fresh = [position for position, known in positions if not known]
        return Appended(
            self.accepted + len(fresh),
            self.duplicates + len(positions) - len(fresh),
            self.first if self.first is not None or not fresh else fresh[0],
            fresh[-1] if fresh else self.last,
        )
