"""`query`: a read-only SELECT over the views, asked at set times, returns rows. It triggers per row, or once for all.

The engine runs no SQL: a coordinator asks once per slot of `every`, and writes the answer on the log
(`automation.queried`, on a subject that only the plane can write to). What the views hold later changes nothing: a
replay reads the answer that was given. Triggers with the same text and times share their answers.
"""

from hashlib import blake2b
from typing import Any, Final

import orjson
from pydantic import Field, field_validator

from airside.events import vocabulary
from airside.events.wire import Micros
from airside.triggers import durations, keys
from airside.triggers.durations import Duration
from airside.triggers.entry import Entry, iso
from airside.triggers.firing import Verdict
from airside.triggers.index import Subscription
from airside.triggers.keys import Key
from airside.triggers.kinds import base
from airside.triggers.strict import Text

#: Rows of an answer that are written on the log; `row_count` says how many there were.
MAX_ROWS: Final = 200
_SHOWN_ROWS: Final = 10
_MIN_EVERY: Final[Micros] = 10 * durations.SECOND


class QuerySpec(base.TriggerSpec):
    """Fires when a query over the views returns rows."""

    query: Text = Field(description="one SELECT over events, resources, firings, actions, automations …")
    every: Duration = Field(description="how often it is asked; at least 10s")

    @field_validator("every")
    @classmethod
    def _not_too_often(cls, every: Micros) -> Micros:
        if every < _MIN_EVERY:
            raise ValueError(f"must be at least {durations.show(_MIN_EVERY)}")
        return every

    @property
    def needs_no_keys(self) -> str:
        if all(part.startswith("$") for part in self.for_each):
            return ""
        return "the keys of a `query` are columns of its rows, written as `$.column`"

    @property
    def resource_id(self) -> str:
        """Name the question: the same text asked equally often is the same question."""
        digest = blake2b(orjson.dumps([self.query, self.every]), digest_size=10).hexdigest()
        return f"query://{digest}"


class Query(base.RunningTrigger[QuerySpec]):
    """Holds the keys whose rows the last answer had, with what was fired for them."""

    def __init__(self, spec: QuerySpec, host: base.Host) -> None:
        super().__init__(spec, host)
        self._fired: dict[Key, str] = {}
        self._asked: Micros | None = None
        self.subscriptions = (Subscription((vocabulary.AUTOMATION_QUERIED,), frozenset({spec.resource_id})),)

    def reach(self) -> Micros:
        return self.spec.every

    def forget(self, key: Key) -> None:
        del self._fired[key]

    def on_event(self, entry: Entry) -> None:
        if not entry.is_own or not self.seen.is_new(entry.event.id, entry.clock):
            return
        answer = entry.payload
        rows = answer.get("rows")
        if not isinstance(rows, list):
            return  # the query failed this time: nothing is known, nothing changes
        self._asked = entry.clock
        found = self._by_key(entry, rows)
        if not answer.get("truncated"):
            for key in [key for key in self._fired if key not in found]:
                self._resolve(key, entry)
        for key, its_rows in found.items():
            if key not in self._fired and self.has_room(self._fired):
                self._fired[key] = self._trigger(key, its_rows, answer, entry) or ""

    def _by_key(self, entry: Entry, rows: list[Any]) -> dict[Key, list[Any]]:
        if not self.spec.for_each:
            return {(): rows} if rows else {}
        found: dict[Key, list[Any]] = {}
        for row in rows:
            key = self.key_of(entry.about(row))
            if key is not None:
                found.setdefault(key, []).append(row)
        return found

    def _trigger(self, key: Key, rows: list[Any], answer: dict[str, Any], entry: Entry) -> str | None:
        count = answer.get("row_count", len(rows)) if not key else len(rows)
        reason = f"the query returned {count} row{'s' if count != 1 else ''}"
        if key:
            reason += f" for {keys.describe(self.spec.for_each, key)}"
        return self.host.trigger(
            Verdict(
                key=key,
                anchor=entry.event.id,
                time=entry.clock,
                start=max(self.host.created, entry.clock - self.spec.every),
                end=entry.clock,
                events=(entry.ref(),),
                event_count=1,
                reason=reason,
                clause={"trigger": "query", "row_count": count, "rows": rows[:_SHOWN_ROWS]},
            )
        )

    def _resolve(self, key: Key, entry: Entry) -> None:
        fired = self._fired.pop(key)
        if not fired:
            return
        reason = "the query returns no rows any more"
        if key:
            reason += f" for {keys.describe(self.spec.for_each, key)}"
        self.host.resolve(
            Verdict(
                key=key,
                anchor=fired,
                time=entry.clock,
                start=max(self.host.created, entry.clock - self.spec.every),
                end=entry.clock,
                events=(entry.ref(),),
                event_count=1,
                reason=reason,
                clause={"trigger": "query", "row_count": 0},
                resolves=fired,
            )
        )

    def explain_key(self, key: Key) -> dict[str, Any]:
        asked = iso(self._asked) if self._asked is not None else None
        if asked is None:
            summary = f"has not been answered yet; asked every {durations.show(self.spec.every)}"
        elif key in self._fired:
            summary = f"the answer at {asked} had rows; it fires again once an answer had none"
        else:
            summary = f"the answer at {asked} had no rows"
        return {"summary": summary, "asked": asked, "firing": self._fired.get(key) or None}

    def save(self) -> Any:
        return [self.seen.save(), self._asked, [[key, fired] for key, fired in self._fired.items()]]

    def load(self, state: Any) -> None:
        self.seen.load(state[0])
        self._asked = state[1]
        self._fired = {base.as_key(key): fired for key, fired in state[2]}


base.register(base.TriggerKind("query", None, QuerySpec, Query, has_state=True))
