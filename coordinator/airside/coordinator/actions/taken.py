"""A firing that was taken from the broker, and what of it is still to be carried out here.

First come the actions on the plane, which are done in milliseconds, then those that call the outside and may have to
wait for it: each part has lanes of its own (see `lanes`), so that nobody outside holds up what the plane does itself.
"""

from collections.abc import Callable
from dataclasses import dataclass

import msgspec
from nats.aio.msg import Msg

#: What a firing takes of memory beside its bytes, about.
_OBJECTS_BYTES = 1_000


@dataclass(slots=True)
class Taken:
    """A firing in hand. `told` is when the broker last heard that it is: monotonic seconds.

    `wait` is the least of the seconds until there is more to do of the parts that were gone through, None for nothing.
    """

    message: Msg
    told: float
    outside_now: bool
    outside_later: bool
    wait: float | None = None

    @property
    def automation(self) -> str:
        """Name the automation, by the subject."""
        return self.message.subject.rpartition(".")[0]

    @property
    def first(self) -> bool:
        """Tell whether the broker never handed it out before."""
        return self.message.metadata.num_delivered == 1

    @property
    def weight(self) -> int:
        """Give its bytes in memory, about."""
        return len(self.message.data) + _OBJECTS_BYTES

    def went_through(self, wait: float | None) -> None:
        """Note that a part was gone through, and in how many seconds there is more to do of it."""
        if wait is not None:
            self.wait = wait if self.wait is None else min(self.wait, wait)


class _Entry(msgspec.Struct):
    kind: str = ""


class _Payload(msgspec.Struct):
    actions: list[_Entry] = []


class _Glimpse(msgspec.Struct):
    payload: _Payload


_glimpse = msgspec.json.Decoder(_Glimpse)


def take(message: Msg, now: float, is_outside: Callable[[str], bool]) -> Taken:
    """Take a firing in hand. What is none counts as one with actions on the plane, where it will be refused."""
    try:
        found = [is_outside(entry.kind) for entry in _glimpse.decode(message.data).payload.actions]
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        found = []
    only_outside = bool(found) and all(found)
    return Taken(message, now, outside_now=only_outside, outside_later=any(found) and not only_outside)
