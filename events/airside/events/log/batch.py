"""What readers of the log receive."""

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


@dataclass(frozen=True, slots=True)
class Appended:
    """What an append did: how many were new, how many were known, and the positions of the new ones."""

    accepted: int
    duplicates: int
    first: int | None = None
    last: int | None = None
