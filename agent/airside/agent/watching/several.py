"""Runs watchers side by side in one process. One that fails is started again, and holds up no other."""

import asyncio
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from airside.agent.watching import pulse, schemes
from airside.agent.watching.cursors import CursorFile
from airside.agent.watching.loop import Loop, Watched
from airside.agent.watching.plans import Plan
from airside.agent.watching.watcher import Watcher, WatchError, WatchRefused
from airside.sdk.emitting.emitter import Emitter

#: The first and the longest wait before a watcher that ended is started again.
MIN_PAUSE_SECONDS: Final = 1.0
MAX_PAUSE_SECONDS: Final = 300.0


@dataclass(frozen=True, slots=True)
class Hooks:
    """What the command shows: events, troubles ("": over) with the watcher's name, and counts after each poll."""

    on_event: Callable[[Mapping[str, Any]], None] = lambda event: None
    on_trouble: Callable[[str, str], None] = lambda name, reason: None
    on_poll: Callable[[Watched], None] = lambda watched: None


class Supervised:
    """One watcher, opened anew whenever it ended by a failure. The first opening raises what is wrong with its URL."""

    def __init__(self, plan: Plan, home: Path, emitter: Emitter, hooks: Hooks) -> None:
        self._plan = plan
        self._home = home
        self._emitter = emitter
        self._hooks = hooks
        self._watcher: Watcher | None = schemes.open_watcher(plan.url, plan.options)
        self.name = self._watcher.name
        self.label = plan.label or pulse.label_of(self.name)
        self._pulse = pulse.Pulse(emitter, self.label, self.name)
        self.events = 0

    async def once(self) -> None:
        """Take what there is by now. Raises WatchError."""
        await self._run(once=True)

    async def forever(self, *, patient: bool) -> None:
        """Watch until cancelled. Raises WatchRefused unless `patient`: then that is tried again too."""
        pause = MIN_PAUSE_SECONDS
        while True:
            before = self.events
            try:
                await self._run(once=False)
            except Exception as error:
                known = isinstance(error, WatchError | OSError)
                reason = str(error) if known else f"unexpected {type(error).__name__}"
                self._hooks.on_trouble(self.name, reason)
                self._pulse.failed(reason, for_good=True)
                if isinstance(error, WatchRefused) and not patient:
                    raise
            pause = MIN_PAUSE_SECONDS if self.events > before else pause
            await asyncio.sleep(pause * random.uniform(0.9, 1.0))  # noqa: S311
            pause = min(pause * 2, MAX_PAUSE_SECONDS)

    async def _run(self, *, once: bool) -> None:
        watcher = self._watcher or schemes.open_watcher(self._plan.url, self._plan.options)
        self._watcher = None
        try:
            file = CursorFile(self._home, watcher.name, self._emitter.settings.target)
            try:
                loop = Loop(
                    watcher,
                    file,
                    self._emitter,
                    on_event=self._on_event,
                    on_trouble=self._on_trouble,
                    on_poll=self._hooks.on_poll,
                )
                await (loop.once() if once else loop.forever(self._plan.every_seconds))
            finally:
                file.close()
        finally:
            await watcher.close()

    def _on_event(self, event: Mapping[str, Any]) -> None:
        self.events += 1
        self._hooks.on_event(event)

    def _on_trouble(self, reason: str) -> None:
        if reason:
            self._pulse.failed(reason)
        else:
            self._pulse.succeeded()
        self._hooks.on_trouble(self.name, reason)


def supervise(plans: Sequence[Plan], home: Path, emitter: Emitter, hooks: Hooks) -> list[Supervised]:
    """Open all watchers. Raises WatchRefused for one that cannot be meant, and for two of one name."""
    found = [Supervised(plan, home, emitter, hooks) for plan in plans]
    labels: dict[str, str] = {}
    for watcher in found:
        if watcher.label in labels:
            raise WatchRefused(f"two watchers are called {watcher.label}: give each a name; it is in their heartbeats")
        labels[watcher.label] = watcher.name
    return found


async def run(watchers: Sequence[Supervised], *, once: bool, patient: bool = False) -> None:
    """Run all until cancelled, or, `once`, until each has taken what there is.

    Raises WatchError with `once`; WatchRefused also for a single watcher, which has nothing to go on for, unless
    `patient`.
    """
    patient = patient or len(watchers) > 1
    tasks = [asyncio.ensure_future(one.once() if once else one.forever(patient=patient)) for one in watchers]
    try:
        results = await asyncio.gather(*tasks, return_exceptions=True)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
