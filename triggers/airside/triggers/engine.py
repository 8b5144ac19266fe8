"""The engine: a deterministic fold of the log into firings.

`step` takes the log's records one by one, in order, and gives the firings that each decides:

1. the clock moves to the largest log time seen;
2. deadlines that lie before the clock pass, in their order, *before* the record itself is applied: what comes late
   cannot undo them, and an event exactly at a deadline is on time;
3. a control record changes the rules at exactly its place in the log;
4. the event meets the rules that could match it, in the order in which they came to be.

Nothing else has a say: no wall clock, no order of arrival elsewhere. A saved engine goes on as if it had never stopped.
Control records and ticks count only where the plane itself writes (`ctl.>`), so that nobody can forge them.
"""

from collections import deque
from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec

from airside.events import subjects, vocabulary
from airside.events.model import DEFAULT_WORKSPACE
from airside.events.wire import Micros, Record
from airside.triggers import controls, snapshot
from airside.triggers.chains import MAX_FIRINGS, Chains
from airside.triggers.entry import Entry
from airside.triggers.exceptions import PositionGap, StateRefused
from airside.triggers.firing import Firing
from airside.triggers.index import RuleIndex
from airside.triggers.keys import Key
from airside.triggers.model import Automation, Installed
from airside.triggers.rule import MAX_KEYS, Core, Rule, same_trigger
from airside.triggers.timers import Timers

#: Deadlines, or keys of one, that a slice of an entry passes.
SLICE: Final = 64


class Engine:
    """Folds records into firings.

    Args:
        control: whether control records change the rules; False for a backtest of given rules.
        gaps_allowed: whether positions may be missing, as in an export; they must still rise.
        max_keys: how many keys one rule may keep; further ones are refused and counted.
    """

    def __init__(self, *, control: bool = True, gaps_allowed: bool = False, max_keys: int = MAX_KEYS) -> None:
        self._control = control
        self._gaps_allowed = gaps_allowed
        self._core = Core(max_keys)
        self._chains = Chains()
        self._handed_out: deque[tuple[str, int]] = deque(maxlen=MAX_FIRINGS)
        self._rules: dict[int, Rule] = {}
        self._next_number = 1
        self._installed: dict[tuple[str, str], Installed] = {}
        self._running: dict[tuple[str, str], int] = {}
        self._indexes: dict[str, RuleIndex] = {}
        self._broken: dict[tuple[str, str], str] = {}

    @property
    def position(self) -> int:
        """The log position of the last record, 0 before the first."""
        return self._core.position

    @property
    def now(self) -> Micros:
        """The log's clock: the largest log time seen."""
        return self._core.now

    @property
    def next_deadline(self) -> Micros | None:
        """The earliest pending deadline. It passes once the clock is *beyond* it."""
        return self._core.next_deadline

    @property
    def automations(self) -> Mapping[tuple[str, str], Installed]:
        """The known automations by workspace and name, disabled ones included."""
        return self._installed

    @property
    def broken(self) -> Mapping[tuple[str, str], str]:
        """Automations on the log that this version cannot read, by workspace and name, with the reason."""
        return self._broken

    @property
    def keys_refused(self) -> Mapping[tuple[str, str], int]:
        """How many events were not counted because a rule had too many keys; by workspace and name."""
        return self._counted("keys_refused")

    @property
    def keys_dropped(self) -> Mapping[tuple[str, str], int]:
        """How many keys were forgotten to make room for others; by workspace and name."""
        return self._counted("keys_dropped")

    @property
    def loops_stopped(self) -> Mapping[tuple[str, str], int]:
        """How many firings were held back because rules set each other off; by workspace and name."""
        return self._counted("loops_stopped")

    def _counted(self, what: str) -> dict[tuple[str, str], int]:
        counts = {name: int(getattr(self._rules[number], what)) for name, number in self._running.items()}
        return {name: count for name, count in counts.items() if count}

    def step(self, record: Record) -> list[Firing]:
        """Apply one record and give the firings it decides, in order. Raises PositionGap."""
        clock = self._move(record.position, record.received)
        core = self._core
        heap = core.timers.heap
        if (heap and heap[0][0] < clock) or core.event_clocks:
            for _ in self._passing(clock, record):
                pass
        self._take_in(record, clock)
        return self._delivered() if core.firings else []

    def may_pass(self, received: Micros) -> bool:
        """Tell whether deadlines may lie before an entry of that moment: then it may take long. See `slices`."""
        core = self._core
        return bool(core.event_clocks) or core.timers.due(max(core.now, received))

    def slices(self, record: Record) -> Iterator[list[Firing]]:
        """Apply one record as `step` does, a slice at a time: the same firings, in the same order.

        For whoever has other things to do while 300,000 deadlines pass. Until the last slice the engine stands between
        two entries: it must be neither stepped nor saved. Raises PositionGap.
        """
        clock = self._move(record.position, record.received)
        yield from self._in_slices(clock, record)
        self._take_in(record, clock)
        yield self._delivered()

    def pass_over(self, position: int, received: Micros) -> list[Firing]:
        """Step over a log entry that is no event: it moves the clock, and deadlines may pass. Raises PositionGap."""
        clock = self._move(position, received)
        if self.may_pass(clock):
            for _ in self._passing(clock):
                pass
        return self._delivered()

    def concerns(self, workspace: str, event_type: str, resource: str) -> bool:
        """Tell whether an event that anybody may post could do more than move the clock."""
        if self._core.event_clocks or event_type in vocabulary.TERMINAL_RUN_TYPES:
            return True
        index = self._indexes.get(workspace)
        return index is not None and bool(index.candidates(event_type, resource))

    def pass_over_slices(self, position: int, received: Micros) -> Iterator[list[Firing]]:
        """Step over an entry that is no event, a slice at a time; see `slices`."""
        clock = self._move(position, received)
        yield from self._in_slices(clock, None)
        yield self._delivered()

    def _in_slices(self, clock: Micros, record: Record | None) -> Iterator[list[Firing]]:
        for number, _ in enumerate(self._passing(clock, record), 1):
            if not number % SLICE:
                firings, self._core.firings = self._core.firings, []
                self._handed_out.extend((firing.id, firing.depth) for firing in firings)
                yield firings

    def _take_in(self, record: Record, clock: Micros) -> None:
        """Apply the record itself, once the deadlines before it have passed."""
        core = self._core
        event = record.event
        is_own = record.subject.startswith(subjects.OWN)
        if is_own and record.subject.startswith("ctl."):
            if event.type == vocabulary.CLOCK_TICKED:
                core.gaps.tick(clock)
                return
            if self._control and event.type in controls.CONTROLS:
                self._apply_control(record)
        index = self._indexes.get(event.workspace)
        candidates = index.candidates(event.type, event.resource.id) if index else ()
        if candidates:
            entry = Entry(record, event, clock)
            if is_own or event.causes:  # as those of a run that an action started
                core.depth = self._chains.depth_of(event)
            if is_own:
                candidates = [each for each in candidates if self._rules[each].takes_own(event)]
            for number in candidates:
                self._rules[number].on_event(entry)
        if event.type in vocabulary.TERMINAL_RUN_TYPES:
            for number, token in core.runs.finish(event.workspace, event.resource.id):
                self._rules[number].on_finished(token)

    def advance(self, to: Micros) -> list[Firing]:
        """Let the clock run on to a moment without an entry, as if the plane kept ticking. Deadlines before it pass.

        For backtests and questions about a moment: a log that is decided on moves the clock by its entries alone.
        """
        core = self._core
        core.depth = 0
        core.firings = []
        while (deadline := core.next_deadline) is not None and deadline < to:
            core.now = max(core.now, deadline + 1)
            core.gaps.run_on(core.now)
            for _ in self._passing(core.now):
                pass
        core.now = max(core.now, to)
        core.gaps.run_on(core.now)
        return self._delivered()

    def explain_key(self, name: str, key: Key, workspace: str = DEFAULT_WORKSPACE) -> dict[str, Any] | None:
        """Say how a key of an automation stands now: JSON-ready, `summary` in words. None when it does not run."""
        number = self._running.get((workspace, name))
        return None if number is None else self._rules[number].explain_key(key)

    def apply(
        self,
        automation: Automation,
        revision: int,
        *,
        at: Micros,
        position: int,
        workspace: str = "default",
    ) -> None:
        """Install an automation, or a new revision of it, at a moment and log position.

        Open windows stay when the trigger is the same, and are closed otherwise.
        """
        self._core.now = max(self._core.now, at)
        name = (workspace, automation.name)
        self._broken.pop(name, None)
        known = self._installed.get(name)
        self._installed[name] = Installed(automation, revision, automation.enabled)
        running = self._running.get(name)
        if (
            running is not None
            and known is not None
            and automation.enabled
            and same_trigger(known.automation, automation)
        ):
            self._rules[running].revise(automation, revision)
            return
        self._stop(name)
        if automation.enabled:
            self._start(name, position)

    def _move(self, position: int, received: Micros) -> Micros:
        """Go on to the next entry and give its clock; the deadlines before it are still to pass."""
        core = self._core
        if position > 0:
            last = core.position
            if position != last + 1 and last and not (self._gaps_allowed and position > last):
                raise PositionGap(last + 1, position)
            core.position = position
        if received > core.now:  # noqa: PLR1730 - half the time of max()
            core.now = received
        core.depth = 0
        if core.firings:
            core.firings = []
        return core.now

    def _passing(self, clock: Micros, record: Record | None = None) -> Iterator[None]:
        """Let the deadlines before the clock pass, and stop after each, or after each key of one that is of many."""
        yield from self._pass(self._core.timers, clock, 0)
        for workspace, event_clock in self._core.event_clocks.items():
            lag = event_clock.lag
            if record is not None and record.event.workspace == workspace and not subjects.is_own(record.subject):
                event_clock.observe(record.event.time, clock)
                lag = max(lag, event_clock.lag)  # no event makes pass what it may belong to itself
            yield from self._pass(event_clock.timers, clock - lag, lag)

    def _pass(self, timers: Timers, clock: Micros, lag: Micros) -> Iterator[None]:
        while passed := timers.pop_before(clock):
            deadline, number, token = passed
            rule = self._rules.get(number)
            if rule and (keys := rule.on_timer(token, deadline + lag)) is not None:
                yield from keys
            yield

    def _delivered(self) -> list[Firing]:
        """Give what was decided since the last slice. What an entry decided counts in chains from the next one on."""
        if not self._core.firings and not self._handed_out:
            return []
        firings, self._core.firings = self._core.firings, []
        while self._handed_out:
            self._chains.note(*self._handed_out.popleft())
        for firing in firings:
            self._chains.note(firing.id, firing.depth)
        return firings

    def _apply_control(self, record: Record) -> None:
        event = record.event
        name = (event.workspace, controls.name_in(event))
        try:
            control = controls.read(event)
            name = (event.workspace, control.name)
            if event.type not in controls.INSTALLS:
                self._switch(name, event.type, record.position)
                return
            automation, now, place = control.automation(), self._core.now, record.position
            self.apply(automation, control.revision, at=now, position=place, workspace=event.workspace)
        except (msgspec.MsgspecError, ValueError) as error:
            self._stop(name)
            self._installed.pop(name, None)
            self._broken[name] = f"revision at position {record.position}: {error}"

    def _switch(self, name: tuple[str, str], event_type: str, position: int) -> None:
        """Enable, disable or delete. Enabling starts with empty windows."""
        if event_type == vocabulary.AUTOMATION_DELETED:
            self._stop(name)
            self._installed.pop(name, None)
            self._broken.pop(name, None)
            return
        known = self._installed.get(name)
        if known is None:
            return
        enabled = event_type == vocabulary.AUTOMATION_ENABLED
        if known.enabled == enabled:
            return
        self._installed[name] = Installed(known.automation, known.revision, enabled)
        self._stop(name)
        if enabled:
            self._start(name, position)

    def _start(self, name: tuple[str, str], position: int) -> None:
        workspace, _ = name
        installed = self._installed[name]
        number = self._next_number
        self._next_number += 1
        rule = Rule(self._core, number, workspace, installed.automation, installed.revision, position=position)
        self._enter(name, rule)
        rule.arm()

    def _enter(self, name: tuple[str, str], rule: Rule) -> None:
        self._rules[rule.number] = rule
        self._running[name] = rule.number
        self._indexes.setdefault(rule.workspace, RuleIndex()).add(rule.number, rule.subscriptions)

    def _stop(self, name: tuple[str, str]) -> None:
        """Close a rule with all its windows."""
        number = self._running.pop(name, None)
        if number is None:
            return
        rule = self._rules.pop(number)
        self._indexes[rule.workspace].remove(number, rule.subscriptions)
        rule.close()

    @snapshot.no_collection()
    def save(self) -> bytes:
        """Give the whole state as bytes, checked when they are loaded."""
        return snapshot.pack(
            {
                "control": self._control,
                "gaps_allowed": self._gaps_allowed,
                "max_keys": self._core.max_keys,
                "now": self._core.now,
                "position": self._core.position,
                "timers": self._core.timers.save(),
                "gaps": self._core.gaps.save(),
                "runs": self._core.runs.save(),
                "event_clocks": [[name, clock.save()] for name, clock in self._core.event_clocks.items()],
                "chains": self._chains.save(),
                "next_number": self._next_number,
                "installed": [
                    [*name, each.automation.to_document(), each.revision, each.enabled]
                    for name, each in self._installed.items()
                ],
                "broken": [[*name, reason] for name, reason in self._broken.items()],
                "rules": [rule.save() for rule in self._rules.values()],
            }
        )

    @classmethod
    @snapshot.no_collection()
    def load(cls, data: bytes) -> "Engine":
        """Make the engine that was saved.

        Raises StateRefused for a state of another engine version or other time-zone data, and for one that this
        version cannot read: replay the log then.
        """
        state = snapshot.unpack(data)
        try:
            return cls._of(state)
        except Exception as error:  # whatever is wrong with it, the log knows better
            reason = f"{type(error).__name__}: {error}".partition("\n")[0]
            raise StateRefused(
                f"the saved state cannot be read ({reason}): replay the log from its beginning"
            ) from error

    @classmethod
    def _of(cls, state: dict[str, Any]) -> "Engine":
        engine = cls(control=state["control"], gaps_allowed=state["gaps_allowed"], max_keys=state["max_keys"])
        core = engine._core
        core.now, core.position = int(state["now"]), int(state["position"])
        core.timers.load(state["timers"])
        core.gaps.load(state["gaps"])
        core.runs.load(state["runs"])
        for workspace, clock in state["event_clocks"]:
            core.event_clock(workspace).load(clock)
        engine._chains.load(state["chains"])
        engine._next_number = state["next_number"]
        for workspace, name, document, revision, enabled in state["installed"]:
            automation = Automation.from_document(document)
            engine._installed[workspace, name] = Installed(automation, revision, enabled)
        engine._broken = {(workspace, name): reason for workspace, name, reason in state["broken"]}
        for saved in state["rules"]:
            rule = Rule.load(core, saved)
            engine._enter((rule.workspace, rule.automation.name), rule)
        return engine
