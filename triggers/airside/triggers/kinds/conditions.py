"""`all`, `any` and `at_least`: so many different triggers fired inside a sliding window. What was kept then empties.

Of each child the latest firing counts. One exactly `within` old no longer does, unless the `edge` is closed; without
`within`, all count that came since the last firing. One event that makes several children fire at once makes the outer
trigger fire once.
"""

from typing import Any

import msgspec
from pydantic import Field, model_validator

from airside.events.wire import Micros
from airside.triggers.keys import Key
from airside.triggers.kinds import base
from airside.triggers.kinds.base import TriggerSpec
from airside.triggers.kinds.compound import Children, CompoundSpec, Fired, RunningCompound


class ConditionSpec(CompoundSpec):
    """Several triggers, of which so many must have fired."""

    @property
    def needed(self) -> int:
        """How many different children must have fired."""
        return len(self.children)


class AllSpec(ConditionSpec):
    """Fires when each of the inner triggers has fired inside a sliding window."""

    all: Children = Field(description="the inner triggers; each must fire, in any order")

    @property
    def children(self) -> tuple[TriggerSpec, ...]:
        return self.all


class AnySpec(ConditionSpec):
    """Fires when one of the inner triggers fires."""

    any: Children = Field(description="the inner triggers; one is enough")

    @property
    def children(self) -> tuple[TriggerSpec, ...]:
        return self.any

    @property
    def needed(self) -> int:
        return 1


class AtLeastSpec(ConditionSpec):
    """Fires when so many different inner triggers have fired inside a sliding window."""

    at_least: int = Field(ge=1, description="how many different ones of `of` must fire")
    of: Children = Field(description="the inner triggers")

    @property
    def children(self) -> tuple[TriggerSpec, ...]:
        return self.of

    @property
    def needed(self) -> int:
        return self.at_least

    @model_validator(mode="after")
    def _can_be(self) -> "AtLeastSpec":
        if self.at_least > len(self.of):
            raise ValueError(f"`at_least: {self.at_least}` can never be: `of` has only {len(self.of)}")
        return self


class Condition(RunningCompound[ConditionSpec]):
    """Keys are kept in the order in which they were last touched; those whose window has run out are dropped."""

    def __init__(self, spec: ConditionSpec, host: base.Host) -> None:
        super().__init__(spec, host)
        self._latest: dict[Key, dict[int, Fired]] = {}

    def judge(self, key: Key, fired: list[Fired]) -> None:
        now = fired[-1].moment
        kept = self._latest.pop(key, None)
        self._drop_idle(now)
        if kept is None:
            if self.spec.needed > 1 and not self.has_room(self._latest):
                return
            kept = {}
        for each in fired:
            kept[each.child] = each
        kept = {child: each for child, each in kept.items() if self._counts(each, now)}
        if len(kept) < self.spec.needed:
            self._latest[key] = kept
            return
        word = base.kind_of(self.spec).word
        clause = {"trigger": word, "needed": self.spec.needed, "of": len(self.spec.children)}
        what = "all" if word == "all" else f"{len(kept)} of {len(self.spec.children)} triggers"
        self.deliver(key, kept.values(), clause, what)

    def _counts(self, fired: Fired, now: Micros) -> bool:
        return self.spec.is_near(fired.moment, now)

    def _drop_idle(self, now: Micros) -> None:
        while self._latest:
            oldest = next(iter(self._latest))
            if any(self._counts(each, now) for each in self._latest[oldest].values()):
                return
            del self._latest[oldest]

    def forget(self, key: Key) -> None:
        del self._latest[key]

    def explain_key(self, key: Key) -> dict[str, Any]:
        now = self.host.now
        kept = [each for each in self._latest.get(key, {}).values() if self._counts(each, now)]
        return {
            "summary": f"{len(kept)} of the {self.spec.needed} triggers that it needs have fired",
            "fired": len(kept),
            "needed": self.spec.needed,
            "children": self.explain_children(key, kept),
        }

    def save_own(self) -> Any:
        return [[key, [msgspec.to_builtins(each) for each in kept.values()]] for key, kept in self._latest.items()]

    def load_own(self, state: Any) -> None:
        self._latest = {
            base.as_key(key): {fired.child: fired for fired in msgspec.convert(kept, list[Fired])}
            for key, kept in state
        }


base.register(base.TriggerKind("all", None, AllSpec, Condition, has_state=False))
base.register(base.TriggerKind("any", None, AnySpec, Condition, has_state=False))
base.register(base.TriggerKind("at_least", None, AtLeastSpec, Condition, has_state=False))
