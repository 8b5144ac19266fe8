"""`sequence`: several triggers fired in the order in which they are written, inside `within` from first to last.

Each step must be later than the one before, by the log's clock and then by log position, so that one event never serves
as two steps. Firings that do not fit are passed over. Of several possible first steps the latest is taken: the sequence
fires if there is any that fits into the window. After a firing it begins anew.

With `time: occurred` the order is that of the events' own clocks, whenever they reach the log; the window stays the
log's.
"""

from typing import Any, Literal

import msgspec
from pydantic import Field

from airside.events.wire import Micros
from airside.triggers.entry import iso
from airside.triggers.keys import Key
from airside.triggers.kinds import base
from airside.triggers.kinds.base import TriggerSpec
from airside.triggers.kinds.compound import Children, CompoundSpec, Fired, RunningCompound
from airside.triggers.kinds.own_order import OwnOrder


class SequenceSpec(CompoundSpec):
    """Fires when the inner triggers have fired in this order."""

    sequence: Children = Field(description="the inner triggers, in the order in which they must fire")
    time: Literal["log", "occurred"] = Field(
        "log", description="whether events are in order as they reach the log, or by their own time"
    )

    @property
    def children(self) -> tuple[TriggerSpec, ...]:
        return self.sequence


class _Begun(msgspec.Struct, array_like=True):
    """What has begun for a key: for each number of steps, the chain of that length whose first step is latest."""

    chains: dict[int, tuple[Fired, ...]]
    fresh: dict[int, tuple[Fired, ...]]  # those made at the newest moment: nothing else of it may follow them
    at: tuple[Micros, int]  # that moment

    @property
    def first(self) -> Micros:
        """The latest moment at which a chain began."""
        return max(chain[0].moment for chains in (self.chains, self.fresh) for chain in chains.values())


class Sequence(RunningCompound[SequenceSpec]):
    """Keys are kept in the order in which they were last touched; those whose window has run out are dropped."""

    def __init__(self, spec: SequenceSpec, host: base.Host) -> None:
        super().__init__(spec, host)
        self._begun: dict[Key, _Begun] = {}
        self._own_order = OwnOrder(spec)
        self._used_at: tuple[Micros, int] = (0, 0)
        self._used: set[Key] = set()  # what fired at that moment: the rest of the moment begins nothing

    def judge(self, key: Key, fired: list[Fired]) -> None:
        if self.spec.time == "occurred":
            self._judge_by_own_time(key, fired)
            return
        at = fired[-1].order
        if self._used_at != at:
            self._used_at, self._used = at, set()
        if key in self._used:
            return
        self._drop_idle(at[0])
        begun = self._begun.pop(key, None) or _Begun({}, {}, at)
        if begun.at != at:
            begun = _Begun(begun.chains | begun.fresh, {}, at)
        for each in sorted(fired, key=lambda each: -each.child):
            chain = self._longer(begun, each)
            if chain is None:
                continue
            if len(chain) == len(self.spec.sequence):
                self._used.add(key)
                self.deliver(key, chain, {"trigger": "sequence", "steps": len(chain)}, f"{len(chain)} steps in order")
                return
            begun.fresh[len(chain)] = chain
        if (begun.chains or begun.fresh) and self.has_room(self._begun):
            self._begun[key] = begun

    def _judge_by_own_time(self, key: Key, fired: list[Fired]) -> None:
        if key not in self._own_order.kept and not self.has_room(self._own_order.kept):
            return
        chain = self._own_order.add(key, fired)
        if chain:
            clause = {"trigger": "sequence", "steps": len(chain), "time": "occurred"}
            self.deliver(key, chain, clause, f"{len(chain)} steps in order of their own times")

    def _longer(self, begun: _Begun, step: Fired) -> tuple[Fired, ...] | None:
        """Give the chain that the firing makes longer, unless one as good is known."""
        chain: tuple[Fired, ...] | None = ()
        if step.child:
            chain = begun.chains.get(step.child)
            if chain is None or not self._is_open(chain[0].moment, step.moment):
                return None
        made = (*(chain or ()), step)
        known = begun.fresh.get(len(made)) or begun.chains.get(len(made))
        if known and known[0].order >= made[0].order:
            return None
        return made

    def _is_open(self, first: Micros, now: Micros) -> bool:
        return self.spec.is_near(first, now)

    def _drop_idle(self, now: Micros) -> None:
        while self._begun:
            oldest = next(iter(self._begun))
            if self._is_open(self._begun[oldest].first, now):
                return
            del self._begun[oldest]

    def forget(self, key: Key) -> None:
        self._begun.pop(key, None)
        self._own_order.kept.pop(key, None)

    def explain_key(self, key: Key) -> dict[str, Any]:
        begun, now = self._begun.get(key), self.host.now
        chains = (begun.chains | begun.fresh).values() if begun else ()
        best = max((chain for chain in chains if self._is_open(chain[0].moment, now)), key=len, default=())
        if self.spec.time == "occurred":
            kept = self._own_order.kept.get(key, ())
            best = self._own_order.chain([each for each in kept if self._is_open(each.moment, now)])
        steps = len(self.spec.sequence)
        return {
            "summary": f"{len(best)} of {steps} steps are done; step {len(best) + 1} is waited for",
            "done": [iso(fired.moment) for fired in best],
            "steps": steps,
            "children": self.explain_children(key, best),
        }

    def save_own(self) -> Any:
        begun = [[key, msgspec.to_builtins(each)] for key, each in self._begun.items()]
        return [self._used_at, list(self._used), begun, self._own_order.save()]

    def load_own(self, state: Any) -> None:
        first, second = state[0]
        self._used_at = (first, second)
        self._used = {base.as_key(key) for key in state[1]}
        self._begun = {base.as_key(key): msgspec.convert(each, _Begun, str_keys=True) for key, each in state[2]}
        self._own_order.load(state[3])


base.register(base.TriggerKind("sequence", None, SequenceSpec, Sequence, has_state=False))
