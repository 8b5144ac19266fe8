"""Asks the queries of `query` triggers, and writes each answer on the log, where the engine finds it.

One answer per slot of `every`: whichever coordinator writes it first. The others see that they were late and leave it.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Iterator
from typing import Any, Final, Protocol

import msgspec
import orjson

from airside.coordinator.engine.ticks import wall_clock
from airside.coordinator.views import QueryError
from airside.events import subjects, vocabulary
from airside.events.exceptions import Conflict, LogError
from airside.events.log import Log, Poison, outgoing_control
from airside.events.wire import Micros, WireEvent, WireResource, from_micros
from airside.triggers.kinds import TriggerSpec
from airside.triggers.kinds.query import MAX_ROWS, QuerySpec

TIMEOUT_SECONDS: Final = 10.0
_LOOK_SECONDS: Final = 0.5
#: Of one answer on the log; further rows are left out and the answer says so.
_MAX_ANSWER_BYTES: Final = 200_000
_SOURCE: Final = "airside://queries"
_log = logging.getLogger("airside.engine")


class Answer(Protocol):
    """What a query gave."""

    @property
    def columns(self) -> list[dict[str, Any]]: ...
    @property
    def rows(self) -> list[list[Any]]: ...
    @property
    def truncated(self) -> bool: ...
    @property
    def position(self) -> int: ...


Ask = Callable[[str, str], Awaitable[Answer]]
Question = tuple[str, QuerySpec]


class QueryAsker:
    """Looks which questions are due, asks them one after the other, and writes the answers.

    `questions` gives (workspace, trigger) of all enabled automations, `ask` runs SQL in a workspace.
    """

    def __init__(self, log: Log, questions: Callable[[], Iterable[Question]], ask: Ask) -> None:
        self._log = log
        self._questions = questions
        self._ask = ask
        #: The last slot that is answered, and where on the log, by workspace and question.
        self._answered: dict[tuple[str, str], tuple[int, int]] = {}

    async def run(self) -> None:
        """Ask until cancelled."""
        while True:
            for workspace, spec in list(self._questions()):
                try:
                    await self._see_to(workspace, spec)
                except LogError as error:
                    _log.warning("the answer to %s is not written: %s", spec.resource_id, error)
            await asyncio.sleep(_LOOK_SECONDS)

    async def _see_to(self, workspace: str, spec: QuerySpec) -> None:
        name = (workspace, spec.resource_id)
        slot = wall_clock() // spec.every
        if name not in self._answered:
            self._answered[name] = await self._read(workspace, spec)
        last_slot, last = self._answered[name]
        if slot <= last_slot:
            return
        payload = {"slot": slot, **await self._answer(workspace, spec)}
        event = _event(workspace, spec, slot, payload)
        try:
            position, _ = await self._log.append(outgoing_control(event), expected_last=last)
        except Conflict:
            del self._answered[name]  # another coordinator was first: read what it wrote
            return
        self._answered[name] = (slot, position)

    async def _read(self, workspace: str, spec: QuerySpec) -> tuple[int, int]:
        """Find the last answer on the log."""
        subject = subjects.control(workspace, spec.resource_id, vocabulary.AUTOMATION_QUERIED)
        position = await self._log.last_on_subject(subject)
        if not position:
            return -1, 0
        entry = await self._log.get(position)
        slot = -1 if isinstance(entry, Poison) else entry.event.payload_object().get("slot", -1)
        return int(slot), position

    async def _answer(self, workspace: str, spec: QuerySpec) -> dict[str, Any]:
        try:
            found = await self._ask(workspace, spec.query)
        except QueryError as error:
            _log.warning("the query of a trigger fails: %s", error)
            return {"error": str(error), "rows": None}
        names = [column["name"] for column in found.columns]
        rows = [dict(zip(names, row, strict=True)) for row in found.rows[:MAX_ROWS]]
        truncated = found.truncated or len(found.rows) > MAX_ROWS
        while len(orjson.dumps(rows)) > _MAX_ANSWER_BYTES:
            rows, truncated = rows[: len(rows) // 2], True
        return {
            "rows": rows,
            "row_count": len(found.rows),
            "truncated": truncated,
            "position": found.position,
        }


def questions_of(trigger: TriggerSpec) -> Iterator[QuerySpec]:
    """Find the queries in a trigger, those of triggers inside it included."""
    if isinstance(trigger, QuerySpec):
        yield trigger
    for child in getattr(trigger, "children", ()):
        yield from questions_of(child)


def _event(workspace: str, spec: QuerySpec, slot: int, payload: dict[str, Any]) -> WireEvent:
    moment: Micros = slot * spec.every
    return WireEvent(
        id=f"{spec.resource_id}/{slot}",
        type=vocabulary.AUTOMATION_QUERIED,
        time=from_micros(moment),
        source=_SOURCE,
        resource=WireResource(spec.resource_id, "query", spec.query.strip().split("\n")[0][:80]),
        payload=msgspec.Raw(orjson.dumps(payload, option=orjson.OPT_NON_STR_KEYS)),
        workspace=workspace,
    )
