"""What every watcher is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias, runtime_checkable

from airside.events.exceptions import AirsideError

#: How far a watcher got, as plain JSON; {} before its first poll. Only the watcher itself reads it.
Cursor: TypeAlias = Mapping[str, Any]


class WatchError(AirsideError):
    """What is watched could not be asked; the next poll may succeed."""


class WatchRefused(WatchError):
    """What is watched cannot be watched as it was asked for: a person must change something."""


@dataclass(frozen=True, slots=True)
class Polled:
    """What one poll found. Events are whole, as the server reads them, in the order in which they happened.

    `more` asks for another poll at once: there was more than one poll takes.
    """

    events: Sequence[Mapping[str, Any]]
    cursor: Cursor
    more: bool = False


@dataclass(frozen=True, slots=True)
class WatchOptions:
    """What the command was told beside the URL. Secrets come from the environment, never from arguments."""

    user: str | None = None
    password: str | None = field(default=None, repr=False)
    token: str | None = field(default=None, repr=False)


class Watcher(Protocol):
    """Asks one thing outside. Used by one task at a time."""

    @property
    def name(self) -> str:
        """Name what is watched, without credentials: it is shown, and the cursor is kept under it."""
        ...

    async def poll(self, cursor: Cursor) -> Polled:
        """Find what happened since the cursor. Raises WatchError, or WatchRefused when asking again cannot help."""
        ...

    async def close(self) -> None:
        """Let go of connections."""
        ...


@runtime_checkable
class Waiting(Protocol):
    """A watcher that is told when something happens, and so need not be asked at fixed times."""

    async def wait(self, seconds: float) -> None:
        """Return after so many seconds, or sooner when the next poll will find something."""
        ...
