"""What to do with each entry of a batch: fold it, drop it as a duplicate, or put it among the dead letters.

The decision depends on the entries alone and on the ids that came before, never on where a batch begins or ends.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import msgspec

from airside.coordinator import ids
from airside.coordinator.views.fold import dead_letters, own
from airside.coordinator.views.fold.base import Entry
from airside.coordinator.views.fold.dead_letters import DeadLetter
from airside.events import LogDamaged, Record, model, redaction, subjects, vocabulary
from airside.events.log import Batch
from airside.events.wire import Micros


class Last(msgspec.Struct, frozen=True):
    """The last entry of a batch."""

    position: int
    received: Micros
    event_id: str | None


@dataclass(slots=True)
class Plan:
    """The entries of one batch, sorted out."""

    records: list[Record]
    first: int
    last: Last
    poisoned: list[DeadLetter]
    refused: Mapping[int, str] = field(default_factory=dict)
    dead: list[DeadLetter] = field(default_factory=list)

    @classmethod
    def of(cls, batch: Batch, position: int) -> "Plan":
        """Check that the batch follows `position` without a gap. Raises LogDamaged."""
        found = sorted([record.position for record in batch.records] + [poison.position for poison in batch.poison])
        expected = list(range(position + 1, position + 1 + len(found)))
        if found != expected or (found and batch.last_position != found[-1]):
            raise LogDamaged(
                f"after position {position} the log gave {_span(found)} where {position + 1} and the following were"
                f" due, to {batch.last_position}; the views stay where they are"
            )
        at_end = next((r.event.id for r in batch.records[-1:] if r.position == batch.last_position), None)
        return cls(
            batch.records,
            position + 1,
            Last(batch.last_position, batch.last_received, at_end),
            [dead_letters.from_poison(poison) for poison in batch.poison],
        )

    def refuse(self, reasons: Mapping[int, str]) -> None:
        """Take these positions for dead letters, whatever else is right with them."""
        self.refused = reasons

    def new_entries(self, known: Callable[[Sequence[Entry]], set[int]]) -> tuple[list[Entry], int]:
        """Give the entries to fold and the number of duplicates; `dead` then has what cannot be folded.

        `known` tells which of the entries it is given, by number, are in the views already.
        """
        keyed = [entry for record in self.records if (entry := _unread(record)) is not None]
        old = known(keyed)
        self.dead = list(self.poisoned)
        seen: set[tuple[bytes, str, str]] = set()
        entries: list[Entry] = []
        for number, entry in enumerate(keyed):
            event = entry.record.event
            ident = (entry.key, event.workspace, event.id)
            if number in old or ident in seen:
                continue
            try:
                entries.append(self._foldable(entry))
            except own.Unfoldable as error:
                self.dead.append(dead_letters.from_record(entry.record, str(error)))
                continue
            seen.add(ident)
        duplicates = len(keyed) - len(entries) - (len(self.dead) - len(self.poisoned))
        self.dead.sort(key=lambda letter: letter.position)
        return entries, duplicates

    def _foldable(self, entry: Entry) -> Entry:
        record = entry.record
        if self.refused and (reason := self.refused.get(record.position)):
            raise own.Unfoldable(reason)
        if not _is_workspace(record.event.workspace):
            raise own.Unfoldable("workspace: not the name of a workspace")
        meaning = own.read(record) if entry.by_plane else None
        return entry if meaning is None else msgspec.structs.replace(entry, own=meaning)


_is_workspace = lru_cache(1_024)(model.is_workspace)


def _unread(record: Record) -> Entry | None:
    """Give the entry as it is before its payload is looked at, without what nobody may read; None for a tick."""
    record = redaction.record(record)
    event, by_plane = record.event, subjects.is_own(record.subject)
    if by_plane and event.type == vocabulary.CLOCK_TICKED:
        return None
    return Entry(record, ids.key(event.workspace, event.id, own=by_plane), by_plane)


def _span(positions: list[int]) -> str:
    if not positions:
        return "nothing"
    return f"{positions[0]}" if len(positions) == 1 else f"{len(positions)} from {positions[0]} to {positions[-1]}"
