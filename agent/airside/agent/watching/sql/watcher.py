"""Whether a table changed since the last look, and whether it has the rows that it should."""

import secrets
import time
from collections.abc import Callable
from typing import Any, Final

from airside.agent.watching import making, telling
from airside.agent.watching.asking import Asking
from airside.agent.watching.sql import asking
from airside.agent.watching.sql import target as targets
from airside.agent.watching.sql.asking import Look
from airside.agent.watching.sql.target import SqlTarget
from airside.agent.watching.watcher import Cursor, Polled, WatchError, WatchOptions
from airside.events import datasets
from airside.events.vocabulary import TABLE_UPDATED

_CONNECT_SECONDS: Final = 30.0


class SqlWatcher:
    """Asks one table. The first look only remembers: nobody saw the table change."""

    def __init__(self, target: SqlTarget, clock: Callable[[], float] = time.time) -> None:
        self._target = target
        self._clock = clock
        self._asking = Asking(lambda: asking.ask(target))

    @property
    def name(self) -> str:
        """Name what is watched."""
        return self._target.name

    async def poll(self, cursor: Cursor) -> Polled:
        """Ask, and give what changed. Raises WatchError."""
        if "born" not in cursor:  # on disk before any id is made from it
            begun = {"born": secrets.token_hex(8), "number": 0, "check": telling.begin()}
            return Polled([], begun, more=True)
        look = await self._look()
        events: list[dict[str, Any]] = []
        after = {**cursor, "seen": [look.rows, look.largest]}
        if "seen" in cursor and after["seen"] != cursor["seen"]:
            after["number"] = cursor["number"] + 1
            events.append(self._updated(look, cursor["seen"], f"{cursor['born']}:{after['number']}"))
        if self._target.expected_rows is not None:
            passed = self._target.expected_rows.holds(look.rows)
            event_id, after["check"] = telling.step(
                cursor["check"], passed=passed, now=self._clock(), repeat_seconds=self._target.repeat_seconds
            )
            payload = {"check": f"rows {self._target.expected_rows}", "rows": look.rows}
            kind = telling.event_type(passed=passed)
            events += [making.event(kind, event_id, self._resource(), payload)] if event_id else []
        return Polled(events, after)

    async def close(self) -> None:
        """Nothing stays open."""

    async def _look(self) -> Look:
        limit = self._target.timeout_seconds + _CONNECT_SECONDS
        try:
            return await self._asking.answer(limit)
        except TimeoutError:
            raise WatchError(f"{self._target.variable}: the database did not answer in {limit:g} s") from None

    def _resource(self) -> dict[str, Any]:
        return {"id": self._target.resource, "kind": "table"}

    def _updated(self, look: Look, before: list[Any], number: str) -> dict[str, Any]:
        rows_before = before[0]
        payload = {
            "rows": look.rows,
            "rows_before": rows_before,
            "max": look.largest,
            "max_before": before[1],
            "max_column": self._target.max_column,
        }
        # one id for one change, also when it is seen twice because the cursor was not kept
        event_id = f"table:{datasets.digest(self._target.resource, number, repr((before, look)))}"
        return making.event(TABLE_UPDATED, event_id, self._resource(), payload)


def open_watcher(url: str, asked: WatchOptions) -> SqlWatcher:
    """Make the watcher of a URL. Raises WatchRefused."""
    return SqlWatcher(targets.read(url))
