"""What `all`, `any`, `at_least` and `sequence` share: triggers inside a trigger, and what is kept of their verdicts.

A child fires at the moment its verdict falls, by the log's clock: a `match` at its event, an absence when its grace has
run out. Windows are measured by that moment, and verdicts reach the outer trigger in its order. All children see an
entry before the outer trigger decides. What a child takes back later (a resolved absence) has still happened.
"""

from abc import abstractmethod
from collections.abc import Iterable, Iterator
from typing import Annotated, Any, Final, Literal, Self

import msgspec
from pydantic import AfterValidator, ConfigDict, Field, model_validator

from airside.events.wire import Micros
from airside.triggers import durations, keys
from airside.triggers.cooldown import Cooldown
from airside.triggers.durations import Duration
from airside.triggers.entry import Entry, EventRef, iso
from airside.triggers.event_clock import EventClock
from airside.triggers.firing import MAX_EVENTS, Verdict, firing_id
from airside.triggers.gaps import Gaps
from airside.triggers.keys import Key
from airside.triggers.kinds import base
from airside.triggers.kinds.base import TriggerSpec
from airside.triggers.kinds.written import AnyTrigger
from airside.triggers.strict import Several

MAX_LEVELS: Final = 8
MAX_CHILDREN: Final = 32
_AFTER_EVENTS: Final = 2**63 - 1  # a deadline passes after every event of its moment


def _levels(children: tuple[TriggerSpec, ...]) -> tuple[TriggerSpec, ...]:
    if any(isinstance(child, CompoundSpec) and child.levels >= MAX_LEVELS for child in children):
        raise ValueError(f"triggers may be nested {MAX_LEVELS} levels deep, not deeper")
    return children


Children = Annotated[
    Several[AnyTrigger],
    Field(min_length=1, max_length=MAX_CHILDREN),
    AfterValidator(_levels),
]


class CompoundSpec(TriggerSpec):
    """A trigger made of others. Those without `for_each` have that of the outer one."""

    model_config = ConfigDict(defer_build=True)  # until every kind is known, this one included

    within: Duration | None = Field(None, description="how far apart the firings may be; any time apart when left out")
    edge: Literal["open", "closed"] = Field(
        "open", description="whether firings exactly `within` apart are too far apart, or (`closed`) still near enough"
    )

    def is_near(self, first: Micros, now: Micros) -> bool:
        """Tell whether a firing at the first moment still counts now."""
        if self.within is None:
            return True
        return now - first < self.within or (self.edge == "closed" and now - first == self.within)

    @property
    @abstractmethod
    def children(self) -> tuple[TriggerSpec, ...]:
        """The inner triggers, in the order in which they are written."""

    @property
    def levels(self) -> int:
        """How many levels of compound triggers this is, itself included."""
        return 1 + max(child.levels if isinstance(child, CompoundSpec) else 0 for child in self.children)

    def inherit(self, parent: TriggerSpec) -> Self:
        found = super().inherit(parent)
        for child in found.children:
            child.inherit(found)
        return found

    @model_validator(mode="after")
    def _keys_of_children(self) -> Self:
        for number, child in enumerate(self.children):
            try:
                child.inherit(self)
            except ValueError as error:
                raise ValueError(f"trigger {number + 1}: {error}") from None
        return self


class Fired(msgspec.Struct, frozen=True, array_like=True):
    """One firing of a child."""

    child: int
    key: tuple[str, ...]
    anchor: str
    moment: Micros
    position: int  # of the event; deadlines of a moment come after its events
    events: tuple[EventRef, ...]
    event_count: int
    reason: str
    clause: dict[str, Any]
    blind_for: Micros
    occurred: Micros  # by the events' own clocks, where the child can tell; else the moment

    @property
    def order(self) -> tuple[Micros, int]:
        """Where it stands among all firings."""
        return self.moment, self.position


class ChildHost:
    """Stands between a child and the host of the outer trigger; see `airside.triggers.kinds.base.Host`."""

    def __init__(self, outer: "RunningCompound[Any]", number: int, spec: TriggerSpec) -> None:
        self._outer = outer
        self._host = outer.host
        self._number = number
        self._length = spec.cooldown
        self.cooldown = Cooldown()

    @property
    def now(self) -> Micros:
        """The log's clock."""
        return self._host.now

    @property
    def gaps(self) -> Gaps:
        """When the plane was blind."""
        return self._host.gaps

    @property
    def event_clock(self) -> EventClock:
        """The time by the events' own clocks."""
        return self._host.event_clock

    @property
    def max_keys(self) -> int:
        """How many keys the child may keep."""
        return self._host.max_keys

    @property
    def created(self) -> Micros:
        """The clock when the rule began to run."""
        return self._host.created

    @property
    def created_position(self) -> int:
        """The log position of the rule's revision."""
        return self._host.created_position

    def set_timer(self, deadline: Micros, token: Any) -> int:
        """Pass on, with the child's number."""
        return self._host.set_timer(deadline, (self._number, token))

    def move_timer(self, handle: int, deadline: Micros, token: Any) -> int:
        """Take back a timer and set another."""
        return self._host.move_timer(handle, deadline, (self._number, token))

    def set_event_timer(self, deadline: Micros, token: Any) -> int:
        """Pass on, with the child's number."""
        return self._host.set_event_timer(deadline, (self._number, token))

    def cancel_event_timer(self, handle: int) -> None:
        """Pass on."""
        self._host.cancel_event_timer(handle)

    def cancel_timer(self, handle: int) -> None:
        """Pass on."""
        self._host.cancel_timer(handle)

    def trigger(self, verdict: Verdict) -> str | None:
        """Note that the child fired, unless its own cooldown forbids it."""
        if self._length and not self.cooldown.allows(verdict.key, verdict.time, self._length):
            return None
        self._outer.note(self._number, verdict)
        return firing_id(self._number, verdict.key, verdict.anchor)

    def resolve(self, verdict: Verdict) -> None:
        """Change nothing: what happened has happened."""

    def is_finished(self, run: str) -> bool:
        """Tell whether the run has finished."""
        return self._host.is_finished(run)

    def watch_run(self, run: str, token: Any) -> None:
        """Pass on, with the child's number."""
        self._host.watch_run(run, (self._number, token))

    def unwatch_run(self, run: str, token: Any) -> None:
        """Take that back."""
        self._host.unwatch_run(run, (self._number, token))

    def refuse_key(self) -> None:
        """Pass on."""
        self._host.refuse_key()

    def drop_key(self) -> None:
        """Pass on."""
        self._host.drop_key()


class _Child:
    """A child at work, and the way from its keys to the outer one's."""

    def __init__(self, outer: "RunningCompound[Any]", number: int, spec: TriggerSpec) -> None:
        self.spec = spec
        self.host = ChildHost(outer, number, spec)
        self.trigger: base.RunningTrigger[Any] = base.kind_of(spec).running(spec, self.host)
        self._parts = [spec.for_each.index(part) for part in outer.spec.for_each]

    def outer_key(self, key: Key) -> Key:
        return tuple(key[part] for part in self._parts)


class RunningCompound(base.RunningTrigger[base.SpecT]):
    """Runs the children and gathers what fired. The kinds judge it."""

    def __init__(self, spec: base.SpecT, host: base.Host) -> None:
        super().__init__(spec, host)
        self._moment: Micros = 0
        self._position = 0
        self._noted: dict[Key, list[Fired]] = {}
        self._children = [
            _Child(self, number, child.inherit(spec)) for number, child in enumerate(self.child_specs(spec))
        ]
        self.subscriptions = tuple(
            dict.fromkeys(each for child in self._children for each in child.trigger.subscriptions)
        )

    @staticmethod
    def child_specs(spec: base.SpecT) -> tuple[TriggerSpec, ...]:
        """Give the inner triggers as written."""
        assert isinstance(spec, CompoundSpec)  # noqa: S101  # holds by the class of the spec; tells mypy
        return spec.children

    def reach(self) -> Micros:
        return 0  # events are counted by the children, which remember ids themselves

    def arm(self) -> None:
        for child in self._children:
            child.trigger.arm()

    def close(self) -> None:
        for child in self._children:
            child.trigger.close()

    def on_event(self, entry: Entry) -> None:
        self._moment, self._position = entry.clock, entry.record.position
        for child in self._children:
            child.trigger.on_event(entry)
        self._decide()

    def on_timer(self, token: Any, deadline: Micros) -> Iterator[None] | None:
        number, inner = token
        self._moment, self._position = max(self._moment, deadline), _AFTER_EVENTS
        keys_of_child = self._children[number].trigger.on_timer(inner, deadline)
        if keys_of_child is not None:
            return self._key_by_key(keys_of_child)
        self._decide()
        return None

    def _key_by_key(self, keys_of_child: Iterator[None]) -> Iterator[None]:
        """Let the child go through its keys, then judge; stop after each key."""
        yield from keys_of_child
        noted, self._noted = self._noted, {}
        for key, fired in noted.items():
            self.judge(key, fired)
            yield

    def on_finished(self, token: Any) -> None:
        number, inner = token
        self._children[number].trigger.on_finished(inner)

    def note(self, number: int, verdict: Verdict) -> None:
        """Take in a verdict of a child."""
        fired = Fired(
            number,
            verdict.key,
            verdict.anchor,
            self._moment,
            self._position,
            verdict.events,
            verdict.event_count,
            verdict.reason,
            verdict.clause,
            verdict.blind_for,
            self._moment if verdict.occurred is None else min(verdict.occurred, self._moment),
        )
        self._noted.setdefault(self._children[number].outer_key(verdict.key), []).append(fired)

    def _decide(self) -> None:
        if self._noted:
            noted, self._noted = self._noted, {}
            for key, fired in noted.items():
                self.judge(key, fired)

    @abstractmethod
    def judge(self, key: Key, fired: list[Fired]) -> None:
        """Take in the firings of one moment for one key."""

    def deliver(self, key: Key, chosen: Iterable[Fired], clause: dict[str, Any], what: str) -> None:
        """Deliver the verdict that the chosen firings make together."""
        parts = sorted(chosen, key=lambda fired: (*fired.order, fired.child))
        events = {ref.id: ref for fired in parts for ref in fired.events}
        repeated = sum(len(fired.events) for fired in parts) - len(events)
        within = getattr(self.spec, "within", None)
        if within:
            clause["within"] = durations.show(within)
            what += f" within {durations.show(within)}"
        clause["fired"] = [self._shown(fired) for fired in parts]
        if key:
            what += f" for {keys.describe(self.spec.for_each, key)}"
        self.host.trigger(
            Verdict(
                key=key,
                anchor=firing_id(*((fired.child, fired.key, fired.anchor) for fired in parts)),
                time=parts[-1].moment,
                start=parts[0].moment,
                end=parts[-1].moment,
                events=tuple(sorted(events.values(), key=lambda ref: ref.position))[-MAX_EVENTS:],
                event_count=sum(fired.event_count for fired in parts) - repeated,
                reason=f"{what}: {'; '.join(fired.reason for fired in parts)}",
                clause=clause,
                blind_for=max(fired.blind_for for fired in parts),
                occurred=max(fired.occurred for fired in parts),
            )
        )

    def _shown(self, fired: Fired) -> dict[str, Any]:
        return {
            "child": fired.child + 1,
            "at": iso(fired.moment),
            "key": keys.nested(self._children[fired.child].spec.for_each, fired.key),
            "reason": fired.reason,
            "clause": fired.clause,
            "events": [ref.id for ref in fired.events],
        }

    def explain_children(self, key: Key, fired: Iterable[Fired]) -> list[dict[str, Any]]:
        """Say of each child whether it counts now, and how the key stands with it where the keys are the same."""
        latest = {each.child: each for each in fired}
        shown = []
        for number, child in enumerate(self._children):
            own = latest.get(number)
            state: dict[str, Any] = {"child": number + 1, "fired": iso(own.moment) if own else None}
            if child.spec.for_each == self.spec.for_each:
                state |= child.trigger.explain_key(key)
            shown.append(state)
        return shown

    @abstractmethod
    def save_own(self) -> Any:
        """Give what is kept of the children's firings, as plain values."""

    @abstractmethod
    def load_own(self, state: Any) -> None:
        """Take that on."""

    def save(self) -> Any:
        children = [[child.host.cooldown.save(), child.trigger.save()] for child in self._children]
        return [self._moment, children, self.save_own()]

    def load(self, state: Any) -> None:
        self._moment = state[0]
        for child, (cooldown, inner) in zip(self._children, state[1], strict=True):
            child.host.cooldown.load(cooldown)
            child.trigger.load(inner)
        self.load_own(state[2])
