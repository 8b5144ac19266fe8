"""What every kind of trigger has in common, and the register they enter themselves in.

A kind is one module in this package: its model (what may be written under `trigger`), its running form (a fold over
entries and deadlines), and one call of `register`. Nothing else names kinds.

The running form knows no automation: it talks to a `Host`. The host of a top-level trigger is a rule, which makes
firings; a trigger that holds others hosts them itself and takes their verdicts.
"""

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Generic, Literal, Protocol, Self, TypeVar

from pydantic import Field, model_validator

from airside.events.wire import Micros
from airside.triggers.durations import HOUR, Duration
from airside.triggers.entry import Entry
from airside.triggers.event_clock import EventClock
from airside.triggers.firing import Verdict
from airside.triggers.gaps import Gaps
from airside.triggers.index import Subscription
from airside.triggers.keys import ForEach, Key, compile_key
from airside.triggers.strict import Strict

DEDUPE_MARGIN: Final = HOUR  # ids are remembered this much longer than a window reaches
MAX_REMEMBERED_IDS: Final = 1_000_000  # per trigger; the oldest are forgotten first


class TriggerSpec(Strict):
    """The keys that every trigger may have."""

    for_each: ForEach = Field((), description="a window for each value of these: `resource.id`, `$.table` …")
    cooldown: Duration | None = Field(None, description="at most one firing per key in this time")
    max_keys: int | None = Field(None, ge=1, le=1_000_000, description="how many keys are kept at once")
    on_max_keys: Literal["refuse", "drop_oldest"] = Field(
        "refuse", description="what to do with one key too many: not count it, or forget the key untouched for longest"
    )

    @property
    def needs_no_keys(self) -> str:
        """Say, for a trigger that cannot have keys as it is written, why not; else nothing."""
        return ""

    def inherit(self, parent: "TriggerSpec") -> Self:
        """Give the trigger as it works inside another: with that one's keys, unless it has its own.

        Raises ValueError when its keys do not fit.
        """
        if self.for_each and not set(parent.for_each) <= set(self.for_each):
            raise ValueError(f"its `for_each` must name all that the outer one names: {', '.join(parent.for_each)}")
        if parent.for_each and self.needs_no_keys:
            raise ValueError(self.needs_no_keys)
        changes: dict[str, Any] = {"for_each": self.for_each or parent.for_each}
        if self.max_keys is None:
            changes |= {"max_keys": parent.max_keys, "on_max_keys": parent.on_max_keys}
        return self.model_copy(update=changes)

    @model_validator(mode="after")
    def _keys_fit(self) -> Self:
        if self.for_each and self.needs_no_keys:
            raise ValueError(self.needs_no_keys)
        return self


class Host(Protocol):
    """What a running trigger may ask of whoever runs it."""

    @property
    def now(self) -> Micros:
        """The log's clock."""

    @property
    def gaps(self) -> Gaps:
        """When the plane was blind."""

    @property
    def event_clock(self) -> EventClock:
        """The time by the events' own clocks."""

    @property
    def max_keys(self) -> int:
        """How many keys the trigger may keep."""

    @property
    def created(self) -> Micros:
        """The clock when the rule began to run."""

    @property
    def created_position(self) -> int:
        """The log position of the rule's revision."""

    def set_timer(self, deadline: Micros, token: Any) -> int:
        """Ask for `on_timer(token)` once the clock has passed the deadline. Gives a handle."""

    def move_timer(self, handle: int, deadline: Micros, token: Any) -> int:
        """Take back a timer and set another. Gives the handle of that."""

    def set_event_timer(self, deadline: Micros, token: Any) -> int:
        """Ask for `on_timer(token)` once the event clock has passed the deadline. Gives a handle of its own."""

    def cancel_event_timer(self, handle: int) -> None:
        """Take back a timer of the event clock."""

    def cancel_timer(self, handle: int) -> None:
        """Take back a timer."""

    def trigger(self, verdict: Verdict) -> str | None:
        """Deliver a verdict. Gives its id, or None when it is suppressed (cooldown)."""

    def resolve(self, verdict: Verdict) -> None:
        """Deliver that an earlier verdict no longer holds."""

    def is_finished(self, run: str) -> bool:
        """Tell whether the run with this resource id has finished."""

    def watch_run(self, run: str, token: Any) -> None:
        """Ask for `on_finished(token)` when the run finishes."""

    def unwatch_run(self, run: str, token: Any) -> None:
        """Take that back."""

    def refuse_key(self) -> None:
        """Note that a key was not taken because there are too many."""

    def drop_key(self) -> None:
        """Note that the oldest key was dropped to make room for another."""


SpecT = TypeVar("SpecT", bound=TriggerSpec)


class RunningTrigger(ABC, Generic[SpecT]):
    """A trigger at work: a deterministic fold. Its state is its own; `save` and `load` carry it over."""

    #: Which events to bring; what else comes is ignored.
    subscriptions: tuple[Subscription, ...]

    def __init__(self, spec: SpecT, host: Host) -> None:
        self.spec = spec
        self.host = host
        self.key_of = compile_key(spec.for_each)
        self.seen = SeenIds(self.reach() + DEDUPE_MARGIN)
        self.most_keys = min(spec.max_keys or host.max_keys, host.max_keys)

    def has_room(self, keys: Mapping[Key, Any]) -> bool:
        """Tell whether one key more may be taken into a mapping whose first key is untouched for longest."""
        if len(keys) < self.most_keys:
            return True
        if self.spec.on_max_keys == "refuse":
            self.host.refuse_key()
            return False
        self.forget(next(iter(keys)))
        self.host.drop_key()
        return True

    @abstractmethod
    def forget(self, key: Key) -> None:
        """Drop a key with all that belongs to it."""

    @abstractmethod
    def reach(self) -> Micros:
        """Say how far back in the log an event can matter."""

    def arm(self) -> None:  # most kinds have nothing to do before the first event
        """Begin: called once, when the rule starts with empty windows."""

    def close(self) -> None:  # only for those with timers or watched runs
        """End: take back timers and watched runs."""

    @abstractmethod
    def on_event(self, entry: Entry) -> None:
        """Take in an entry."""

    def on_timer(self, token: Any, deadline: Micros) -> Iterator[None] | None:  # not every kind has deadlines
        """Act on a deadline that has passed.

        Where it concerns many keys, give an iterator that does it key by key; it is gone through before anything else.
        """

    def on_finished(self, token: Any) -> None:  # only for those that watch runs
        """Close what belongs to a finished run, for good."""

    def explain_key(self, key: Key) -> dict[str, Any]:
        """Say how a key stands now: JSON-ready, `summary` in words. Kinds say what they count; this only looks."""
        kept = _kept_for(key, self.save())
        words = "something" if kept else "nothing"
        return {"summary": f"{words} is kept for this key", "state": kept}

    @abstractmethod
    def save(self) -> Any:
        """Give the state as values that msgspec can write as JSON."""

    @abstractmethod
    def load(self, state: Any) -> None:
        """Take on a saved state. Timers are kept by the host and come back with their handles."""


@dataclass(frozen=True, slots=True)
class TriggerKind:
    """One way to say *when*: told from the others by a key under `trigger`, or two where the first is shared."""

    word: str
    mark: str | None
    spec: type[TriggerSpec]
    running: type[RunningTrigger[Any]]
    has_state: bool

    @property
    def tag(self) -> str:
        """Name the kind where no text from a file can be mistaken for it."""
        return f"\0{self.word} {self.mark or ''}"


_KINDS: dict[str, TriggerKind] = {}


def register(kind: TriggerKind) -> None:
    """Make a kind known."""
    _KINDS[kind.tag] = kind


def kinds() -> Mapping[str, TriggerKind]:
    """Give the known kinds by their tags."""
    return _KINDS


def kind_of(spec: TriggerSpec) -> TriggerKind:
    """Give the kind that a trigger's model belongs to."""
    return next(kind for kind in _KINDS.values() if kind.spec is type(spec))


class SeenIds:
    """Ids of events that counted, so that a repeat does not count again. Forgotten by age."""

    __slots__ = ("_ids", "_queue", "_reach")

    def __init__(self, reach: Micros) -> None:
        self._reach = reach
        self._ids: set[str] = set()
        self._queue: deque[tuple[Micros, str]] = deque()

    def is_new(self, event_id: str, now: Micros) -> bool:
        """Tell whether the id is new, and remember it."""
        queue, ids = self._queue, self._ids
        horizon = now - self._reach
        while queue and (queue[0][0] < horizon or len(queue) >= MAX_REMEMBERED_IDS):
            ids.discard(queue.popleft()[1])
        if event_id in ids:
            return False
        ids.add(event_id)
        queue.append((now, event_id))
        return True

    def save(self) -> Any:
        """Give the state as plain values."""
        return list(self._queue)

    def load(self, state: Any) -> None:
        """Take on a saved state."""
        self._queue = deque((clock, event_id) for clock, event_id in state)
        self._ids = {event_id for _, event_id in self._queue}


def _kept_for(key: Key, state: Any) -> list[Any]:
    """Find, in a saved state, the lists that begin with the key."""
    found: list[Any] = []
    pending = [state]
    while pending:
        value = pending.pop()
        if isinstance(value, list | tuple):
            if len(value) > 1 and isinstance(value[0], list | tuple) and tuple(value[0]) == key:
                found.append(list(value[1:]))
            else:
                pending += value
    return found


def as_key(value: Any) -> Key:
    """Turn a saved key back into one."""
    return tuple(value)
