"""What a limit is, and each step on it: pure, without a clock.

Leases and those who wait for one stand in one list, in the order they came. Whoever stands first is served first: a
large wish is not overtaken by small ones, so nobody starves. Each sign of life of a holder or waiter counts its `beat`
up; whoever sees a beat stand still for the entry's time may strike it out, naming the beat it saw.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from hashlib import sha256
from typing import Final, Protocol, TypeAlias, TypeVar

import msgspec

from airside.events.exceptions import AirsideError

T = TypeVar("T")

MAX_LIMITS: Final = 1_000
#: Leases and waiters of one limit: they are written as one value of the broker's store.
MAX_ENTRIES: Final = 2_000
MAX_NAME: Final = 200
#: Actions of automations that are remembered of one limit.
MAX_ACTIONS: Final = 32
#: What is kept of a holder's name. With it, MAX_ENTRIES of any kind stay below the 1 MB that the broker takes.
MAX_HOLDER_CHARS: Final = 100
MAX_HOLDER_BYTES: Final = 200


class LimitsUnavailable(AirsideError):
    """The store of limits does not answer. Try again."""


class LimitUnknown(AirsideError):
    """There is no limit of this name."""


class LeaseLost(AirsideError):
    """There is no such lease any more: it was released, or not renewed in time."""


class TooMany(AirsideError):
    """This can never be granted, or there are too many limits; the message says which."""


class QueueFull(AirsideError):
    """So many hold this limit or wait for it that no more are taken. Try again later."""


class Entry(msgspec.Struct, frozen=True, kw_only=True, rename={"lease": "id"}):
    """A lease, or the place of somebody who waits for one. Times in seconds."""

    lease: str
    holder: str
    slots: int
    ttl: float
    #: How long a place is kept without a sign of life.
    patience: float
    beat: int = 0
    held: bool = False

    @property
    def lasts(self) -> float:
        """So long the entry stands after its last beat."""
        return self.ttl if self.held else self.patience


class Limit(msgspec.Struct, frozen=True, kw_only=True):
    """One limit: at most `slots` at once, or with `per`, at most `slots` in so many seconds."""

    workspace: str
    name: str
    slots: int
    per: float = 0.0
    #: Of a rate: until when what was granted is paid for, in seconds since 1970.
    paid: float = 0.0
    entries: tuple[Entry, ...] = ()
    #: The last actions of automations that set it, so that none sets it twice.
    actions: tuple[str, ...] = ()

    @property
    def used(self) -> int:
        """The slots that are leased."""
        return sum(entry.slots for entry in self.entries if entry.held)

    @property
    def waiting(self) -> int:
        """How many wait."""
        return sum(not entry.held for entry in self.entries)

    def find(self, lease: str) -> Entry | None:
        """Find a lease or place by its id."""
        return next((entry for entry in self.entries if entry.lease == lease), None)


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody asks for. `wait` is how long this request may take, in seconds."""

    lease: str
    holder: str
    slots: int = 1
    ttl: float = 30.0
    wait: float = 0.0


class Rate(msgspec.Struct, frozen=True, kw_only=True):
    """What a rate limit answers: use it after `delay` seconds; not granted, it would have been longer than allowed."""

    granted: bool
    delay: float


#: A step: from the limit as it is (None: there is none) to the limit as it will be, and the step's result.
Step: TypeAlias = Callable[[Limit | None], tuple[Limit | None, T]]


class Limits(Protocol):
    """The limits behind the API. Everything raises LimitsUnavailable; steps on a limit raise LimitUnknown."""

    def all(self, workspace: str) -> Sequence[Limit]: ...
    async def get(self, workspace: str, name: str) -> Limit: ...
    async def put(self, workspace: str, name: str, slots: int, per: float = 0.0, action: str = "") -> Limit: ...
    async def delete(self, workspace: str, name: str) -> bool: ...
    async def acquire(
        self, workspace: str, name: str, wanted: Wanted, left: Callable[[], Awaitable[bool]]
    ) -> Entry: ...
    async def take(
        self, workspace: str, name: str, slots: int, most: float, default: tuple[int, float] | None
    ) -> Rate: ...
    async def renew(self, workspace: str, name: str, lease: str, ttl: float | None) -> Entry: ...
    async def release(self, workspace: str, name: str, lease: str) -> bool: ...


def key_of(workspace: str, name: str) -> str:
    """Give the key of a name in a workspace."""
    return sha256(f"{workspace}\0{name}".encode()).hexdigest()[:32]


def is_name(text: str) -> bool:
    """Tell whether a limit may be called so."""
    return len(text) <= MAX_NAME and text.isprintable() and bool(text.strip())


def define(limit: Limit | None, new: Limit) -> Limit:
    """Set the size of a limit. What is held stays held; nothing new is granted until it fits.

    An action of an automation that has set it already changes nothing.
    """
    if limit is None:
        return new
    if set(new.actions) & set(limit.actions):
        return limit
    actions = (*limit.actions, *new.actions)[-MAX_ACTIONS:]
    if bool(limit.per) != bool(new.per):
        return msgspec.structs.replace(new, actions=actions)
    changed = msgspec.structs.replace(limit, slots=new.slots, per=new.per, actions=actions)
    kept = tuple(e for e in limit.entries if e.held or e.slots <= new.slots or new.slots == 0)
    return grant(msgspec.structs.replace(changed, entries=kept))


def ask(limit: Limit, wanted: Wanted, patience: float) -> Limit:
    """Show that somebody wants, or still wants, a lease; it may be granted at once. Raises TooMany, QueueFull."""
    if limit.per:
        raise TooMany(f"{limit.name} is a rate limit; nothing of it is held")
    if limit.slots and wanted.slots > limit.slots:
        raise TooMany(f"{limit.name} has {limit.slots} slots in all, fewer than the {wanted.slots} asked for")
    present = limit.find(wanted.lease)
    if present is not None:
        return _replaced(limit, msgspec.structs.replace(present, beat=present.beat + 1, patience=patience))
    if len(limit.entries) >= MAX_ENTRIES:
        raise full(limit)
    holder = shortened(wanted.holder)
    entry = Entry(lease=wanted.lease, holder=holder, slots=wanted.slots, ttl=wanted.ttl, patience=patience)
    return grant(msgspec.structs.replace(limit, entries=(*limit.entries, entry)))


def full(limit: Limit) -> QueueFull:
    """Make the refusal of one more."""
    return QueueFull(f"{len(limit.entries):,} hold {limit.name} or wait for it; no more are taken. Try again later")


def shortened(holder: str) -> str:
    """Keep the beginning of a holder's name, as people can read it; in JSON none of it takes more than its bytes."""
    readable = "".join(one if one.isprintable() else " " for one in holder[:MAX_HOLDER_CHARS])
    return readable.encode()[:MAX_HOLDER_BYTES].decode(errors="ignore")


def renew(limit: Limit, lease: str, ttl: float | None) -> Limit:
    """Show that a holder lives. Raises LeaseLost."""
    present = limit.find(lease)
    if present is None or not present.held:
        raise LeaseLost(f"{LeaseLost.__doc__}")
    return _replaced(limit, msgspec.structs.replace(present, beat=present.beat + 1, ttl=ttl or present.ttl))


def strike(limit: Limit, seen: Mapping[str, int | None]) -> Limit:
    """Take out leases and places, each only if its beat is still the one seen (None: whatever it is)."""
    kept = tuple(
        entry for entry in limit.entries if entry.lease not in seen or seen[entry.lease] not in (None, entry.beat)
    )
    if len(kept) == len(limit.entries):
        return limit
    return grant(msgspec.structs.replace(limit, entries=kept))


def grant(limit: Limit) -> Limit:
    """Give leases to those who wait, in their order, as far as there are slots."""
    free = limit.slots - limit.used
    made: list[Entry] = []
    blocked = False
    for entry in limit.entries:
        if not entry.held and not blocked:
            blocked = entry.slots > free
            if not blocked:
                free -= entry.slots
                entry = msgspec.structs.replace(entry, held=True, beat=entry.beat + 1)  # noqa: PLW2901
        made.append(entry)
    return msgspec.structs.replace(limit, entries=tuple(made))


def take(limit: Limit, slots: int, now: float, most: float) -> tuple[Limit, Rate]:
    """Take from a rate, now or within `most` seconds. `now` in seconds since 1970. Raises TooMany.

    A token bucket of `slots` tokens, kept as one number: until when what was taken is paid for. That number never goes
    back, so clocks that disagree by some seconds shift what is granted by no more than that, once.
    """
    if not limit.per:
        raise TooMany(f"{limit.name} is no rate limit; hold it with `concurrency`")
    if slots > limit.slots:
        raise TooMany(f"{limit.name} gives {limit.slots} slots at once at most, fewer than the {slots} asked for")
    paid = max(limit.paid, now) + slots * limit.per / limit.slots
    delay = max(0.0, paid - limit.per - now)
    if delay > most:
        return limit, Rate(granted=False, delay=delay)
    return msgspec.structs.replace(limit, paid=paid), Rate(granted=True, delay=delay)


def _replaced(limit: Limit, changed: Entry) -> Limit:
    entries = tuple(changed if entry.lease == changed.lease else entry for entry in limit.entries)
    return msgspec.structs.replace(limit, entries=entries)
