"""One automation at work: its trigger's state, and how the trigger's verdicts become firings."""

from collections.abc import Callable, Iterator
from typing import Any, Final

import orjson

from airside.events.wire import Micros, WireEvent
from airside.triggers import keys, kinds
from airside.triggers.cooldown import Cooldown
from airside.triggers.entry import Entry, iso
from airside.triggers.event_clock import EventClock
from airside.triggers.firing import Firing, Outcome, Verdict, firing_id
from airside.triggers.gaps import Gaps
from airside.triggers.index import Subscription
from airside.triggers.keys import Key
from airside.triggers.kinds import RunningTrigger
from airside.triggers.model import Automation
from airside.triggers.runs import Runs
from airside.triggers.timers import Timers

MAX_KEYS: Final = 1_000_000  # per rule; 1.0 to 1.3 KB each (tests/bench/engine.py)
MAX_DEPTH: Final = 9  # firings that led to firings; whoever acts on them stops at 8 and says so on the log


class Core:
    """What all rules of an engine share."""

    def __init__(self, max_keys: int = MAX_KEYS) -> None:
        self.now: Micros = 0
        self.position = 0
        self.max_keys = max_keys
        self.timers = Timers()
        self.gaps = Gaps()
        self.runs = Runs()
        self.event_clocks: dict[str, EventClock] = {}  # of the workspaces with rules that judge by them
        self.depth = 0  # of the entry that is being applied
        self.firings: list[Firing] = []

    @property
    def next_deadline(self) -> Micros | None:
        """The earliest pending deadline, by the log's clock."""
        found = [clock.next_deadline for clock in self.event_clocks.values()]
        return min((each for each in (self.timers.next_deadline, *found) if each is not None), default=None)

    def event_clock(self, workspace: str) -> EventClock:
        """Give the event clock of a workspace; it begins when the first rule asks for it."""
        return self.event_clocks.setdefault(workspace, EventClock())


class Rule:
    """A revision of an automation. Hosts its trigger; see `airside.triggers.kinds.base.Host`."""

    def __init__(
        self, core: Core, number: int, workspace: str, automation: Automation, revision: int, *, position: int
    ) -> None:
        self._core = core
        self.number = number
        self.workspace = workspace
        self.automation = automation
        self.revision = revision
        self.created: Micros = core.now
        self.created_position = position
        self.keys_refused = 0
        self.keys_dropped = 0
        self.loops_stopped = 0
        self._cooldown = Cooldown()
        self._own_id = f"automation://{automation.name}"
        self._trigger: RunningTrigger[Any] = kinds.kind_of(automation.trigger).running(automation.trigger, self)
        #: Shows the trigger an entry, without a step in between: this is asked most of all.
        self.on_event: Callable[[Entry], None] = self._trigger.on_event

    @property
    def subscriptions(self) -> tuple[Subscription, ...]:
        """Give what the trigger wants to see."""
        return self._trigger.subscriptions

    @property
    def now(self) -> Micros:
        """The log's clock."""
        return self._core.now

    @property
    def gaps(self) -> Gaps:
        """When the plane was blind."""
        return self._core.gaps

    @property
    def event_clock(self) -> EventClock:
        """The time by the events' own clocks."""
        return self._core.event_clock(self.workspace)

    @property
    def max_keys(self) -> int:
        """How many keys the trigger may keep."""
        return self._core.max_keys

    def arm(self) -> None:
        """Begin with empty windows."""
        self._trigger.arm()

    def close(self) -> None:
        """End: give back what the trigger asked of the engine."""
        self._trigger.close()

    def revise(self, automation: Automation, revision: int) -> None:
        """Take on a revision whose trigger is the same: windows stay open."""
        self.automation = automation
        self.revision = revision

    def takes_own(self, event: WireEvent) -> bool:
        """Tell whether the trigger may see what the plane wrote: what a rule itself did does not set it off again."""
        return event.resource.id != self._own_id

    def on_timer(self, token: Any, deadline: Micros) -> Iterator[None] | None:
        """Tell the trigger that a deadline has passed. What it gives is still to be gone through, key by key."""
        return self._trigger.on_timer(token, deadline)

    def on_finished(self, token: Any) -> None:
        """Tell the trigger that a run it watches has finished."""
        self._trigger.on_finished(token)

    def explain_key(self, key: Key) -> dict[str, Any]:
        """Say how a key stands, and what of the rule itself may have kept it from firing."""
        cooldown, last = self.automation.trigger.cooldown, self._cooldown.last(key)
        until = last + cooldown if cooldown and last is not None else 0
        return {
            **self._trigger.explain_key(key),
            "cooldown_until": iso(until) if until > self._core.now else None,
            "keys_refused": self.keys_refused,
            "keys_dropped": self.keys_dropped,
            "loops_stopped": self.loops_stopped,
        }

    def set_timer(self, deadline: Micros, token: Any) -> int:
        """Ask to be told once the clock has passed the deadline."""
        return self._core.timers.set(deadline, self.number, token)

    def move_timer(self, handle: int, deadline: Micros, token: Any) -> int:
        """Take back a timer and set another in its place."""
        return self._core.timers.move(handle, deadline, self.number, token)

    def set_event_timer(self, deadline: Micros, token: Any) -> int:
        """Ask to be told once the event clock has passed the deadline."""
        return self.event_clock.timers.set(deadline, self.number, token)

    def cancel_event_timer(self, handle: int) -> None:
        """Take back a timer of the event clock."""
        self.event_clock.timers.cancel(handle)

    def cancel_timer(self, handle: int) -> None:
        """Take back a timer."""
        self._core.timers.cancel(handle)

    def is_finished(self, run: str) -> bool:
        """Tell whether the run has finished."""
        return (self.workspace, run) in self._core.runs.finished

    def watch_run(self, run: str, token: Any) -> None:
        """Ask to be told when the run finishes."""
        self._core.runs.watch(self.workspace, run, self.number, token)

    def unwatch_run(self, run: str, token: Any) -> None:
        """Take that back."""
        self._core.runs.unwatch(self.workspace, run, self.number, token)

    def refuse_key(self) -> None:
        """Note that a key was not taken because there are too many."""
        self.keys_refused += 1

    def drop_key(self) -> None:
        """Note that the oldest key was dropped to make room for another."""
        self.keys_dropped += 1

    def trigger(self, verdict: Verdict) -> str | None:
        """Make a firing of a verdict, unless the cooldown or a loop forbids it. Gives its id."""
        cooldown = self.automation.trigger.cooldown
        if cooldown and not self._cooldown.allows(verdict.key, verdict.time, cooldown):
            return None
        if self._core.depth >= MAX_DEPTH:
            self.loops_stopped += 1
            return None
        identity = (self.workspace, self.automation.name, self.revision, verdict.key, verdict.anchor)
        fired = firing_id(*identity, "triggered")
        self._core.firings.append(self._firing(fired, "triggered", verdict))
        return fired

    def resolve(self, verdict: Verdict) -> None:
        """Make the firing that says an earlier one no longer holds."""
        self._core.firings.append(self._firing(firing_id(verdict.resolves, "resolved"), "resolved", verdict))

    def _firing(self, identity: str, outcome: Outcome, verdict: Verdict) -> Firing:
        automation = self.automation
        window: dict[str, Any] = {"start": iso(verdict.start), "end": iso(verdict.end)}
        if verdict.blind_for:
            window["blind_for"] = verdict.blind_for / 1_000_000
        chosen = automation.actions if outcome == "triggered" else automation.on_resolve
        return Firing(
            id=identity,
            outcome=outcome,
            workspace=self.workspace,
            automation=automation.name,
            revision=self.revision,
            key=keys.nested(automation.trigger.for_each, verdict.key),
            window=window,
            time=verdict.time,
            position=self._core.position,
            decided=self._core.now,
            events=tuple(ref.to_dict() for ref in verdict.events),
            event_count=verdict.event_count,
            reason=verdict.reason,
            clause=verdict.clause,
            severity=automation.severity,
            actions=[action.to_dict() for action in chosen],
            late_by=verdict.late_by,
            resolves=verdict.resolves,
            depth=self._core.depth + 1,
        )

    def save(self) -> Any:
        """Give the state as plain values."""
        return {
            "number": self.number,
            "workspace": self.workspace,
            "document": self.automation.to_document(),
            "revision": self.revision,
            "created": self.created,
            "created_position": self.created_position,
            "refused": [self.keys_refused, self.keys_dropped, self.loops_stopped],
            "fired": self._cooldown.save(),
            "trigger": self._trigger.save(),
        }

    @classmethod
    def load(cls, core: Core, state: Any) -> "Rule":
        """Make the rule that was saved."""
        automation = Automation.from_document(state["document"])
        rule = cls(
            core,
            state["number"],
            state["workspace"],
            automation,
            state["revision"],
            position=state["created_position"],
        )
        rule.created = state["created"]
        rule.keys_refused, rule.keys_dropped, rule.loops_stopped = state["refused"]
        rule._cooldown.load(state["fired"])
        rule._trigger.load(state["trigger"])
        return rule


def same_trigger(one: Automation, other: Automation) -> bool:
    """Tell whether two automations say *when* in the same way, however it is written."""
    return _canonical(one) == _canonical(other)


def _canonical(automation: Automation) -> bytes:
    return orjson.dumps(automation.to_document()["trigger"], option=orjson.OPT_SORT_KEYS)
