"""The engine's state on disk, so that a restart reads seconds of the log and not years.

A snapshot says which log it belongs to and carries a checksum. One that does not fit is passed over for the one
before; with none left the engine reads the log from its start and comes to the same state.
"""

import logging
import os
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Final

import msgspec

_KEEP: Final = 3
_MAGIC: Final = b"airside-engine-1\n"
_log = logging.getLogger("airside.engine")


class Envelope(msgspec.Struct, frozen=True):
    """What stands in front of the state: the log's incarnation, the position, and the event id that is there."""

    created: str
    position: int
    event_id: str
    digest: str


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A saved state of the engine."""

    envelope: Envelope
    state: bytes


class Snapshots:
    """The snapshots in one folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def save(self, created: str, position: int, event_id: str, state: bytes) -> None:
        """Write a snapshot so that a crash leaves either all of it or nothing; keep the last three."""
        envelope = Envelope(created, position, event_id, sha256(state).hexdigest())
        target = self._folder / f"{position:020d}.snapshot"
        draft = target.with_suffix(".draft")
        with draft.open("wb") as file:
            file.writelines((_MAGIC, msgspec.json.encode(envelope), b"\n", state))
            file.flush()
            os.fsync(file.fileno())
        draft.replace(target)
        for old in self._paths()[_KEEP:]:
            old.unlink(missing_ok=True)

    def intact(self) -> list[Snapshot]:
        """Give the intact snapshots, newest first, whatever log they are of."""
        found = []
        for path in self._paths():
            if (snapshot := _read(path)) is not None:
                found.append(snapshot)
            else:
                _log.warning("engine snapshot %s is damaged; passed over", path.name)
                path.unlink(missing_ok=True)
        return found

    def _paths(self) -> list[Path]:
        for draft in self._folder.glob("*.draft"):
            draft.unlink(missing_ok=True)
        return sorted(self._folder.glob("*.snapshot"), reverse=True)


def _read(path: Path) -> Snapshot | None:
    magic, _, rest = path.read_bytes().partition(b"\n")
    head, _, state = rest.partition(b"\n")
    try:
        envelope = msgspec.json.decode(head, type=Envelope)
    except msgspec.MsgspecError:
        return None
    if magic + b"\n" != _MAGIC or sha256(state).hexdigest() != envelope.digest:
        return None
    return Snapshot(envelope, state)
