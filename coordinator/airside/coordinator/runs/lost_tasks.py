"""Tasks of runs that crashed: their process alone told of them, so nobody else will say that they are over.

Like the verdict about the run, this is a conclusion: when the process is heard again, what it says counts.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Final

import msgspec

from airside.coordinator.runs import commands
from airside.coordinator.runs import present as presents
from airside.events import run_states, subjects
from airside.events.exceptions import Conflict
from airside.events.log import Log, Poison, outgoing
from airside.events.run_states import State

#: So many are told of at a time.
_AT_ONCE: Final = 50
_MESSAGE: Final = "the process of its flow run was lost"

#: Gives (workspace, flow run, task run) of the tasks that have not ended although their flow run has crashed.
Unended = Callable[[], Awaitable[Iterable[tuple[str, str, str]]]]


class LostTasks:
    """Calls tasks `crashed` whose flow run was."""

    def __init__(self, log: Log, unended: Unended) -> None:
        self._log = log
        self._unended = unended

    async def end(self) -> None:
        """Write it for each that the views know, unless it has changed meanwhile. Raises LogError; then do it again."""
        found = list(await self._unended())
        for begin in range(0, len(found), _AT_ONCE):
            async with asyncio.TaskGroup() as group:
                for workspace, run, task in found[begin : begin + _AT_ONCE]:
                    group.create_task(self._call_crashed(workspace, run, task))

    async def _call_crashed(self, workspace: str, run: str, task: str) -> None:
        around = await presents.read(self._log, workspace, run)
        if around is None or around.state is not State.CRASHED:
            return
        among = subjects.task_run_changes(workspace, task)
        entry = await self._log.last(among)
        last = None if entry is None or isinstance(entry, Poison) else presents.of_task(entry)
        if last is None or last.state in run_states.TERMINAL:
            return
        crash = around.record.event
        event = commands.following(last, State.CRASHED, {"message": _MESSAGE}, (crash.id,))
        event = msgspec.structs.replace(event, time=max(crash.time, last.record.event.time))
        try:
            await self._log.append(outgoing(event), expected_last=last.position, among=among)
        except Conflict:
            return  # another coordinator was first, or the process is there again
