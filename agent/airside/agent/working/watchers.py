"""Watchers that run beside the work of an agent, in its process and under its token.

So what they need to see a database or a bucket stays on this machine, with the agent. One that fails is started again
and holds up neither the others nor the agent's runs.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from airside.agent.watching import plans, several
from airside.agent.watching.several import Supervised
from airside.sdk.emitting import settings as emit_settings
from airside.sdk.emitting.emitter import Emitter
from airside.sdk.settings import ClientSettings

_EXIT_SECONDS: Final = 5.0


class Watchers:
    """The watchers of one file. `say` is told, in words for people, when one no longer sees, and when it does again."""

    def __init__(self, emitter: Emitter, say: Callable[[str], object]) -> None:
        self._watchers: Sequence[Supervised] = ()
        self._emitter = emitter
        self._say = say
        self._troubles: dict[str, str] = {}

    @classmethod
    def open(cls, file: Path, loaded: ClientSettings, say: Callable[[str], object]) -> "Watchers":
        """Open those of the `[[watch]]` tables of a file. Raises WatchRefused, BadSettings."""
        wanted = plans.of_file(file)
        emitter = Emitter(replace(emit_settings.load(), url=loaded.url))
        made = cls(emitter, say)
        try:
            made._watchers = several.supervise(wanted, loaded.home, emitter, several.Hooks(on_trouble=made.trouble))
        except BaseException:
            emitter.close(0.0)
            raise
        return made

    async def run(self) -> None:
        """Watch until cancelled."""
        self._say(f"watching {', '.join(watcher.name for watcher in self._watchers)}")
        await several.run(self._watchers, once=False, patient=True)

    async def close(self) -> None:
        """Deliver the last events; what the server does not take waits on disk for the next start."""
        await asyncio.to_thread(self._emitter.flush, _EXIT_SECONDS)
        await asyncio.to_thread(self._emitter.close, 0.0)

    def trouble(self, name: str, reason: str) -> None:
        """Note why a watcher does not see; '' when it does."""
        before = self._troubles.get(name, "")
        if reason and not before:
            self._say(f"{name}: {reason}; trying again")
        elif before and not reason:
            self._say(f"{name} is seen again")
        self._troubles[name] = reason

    def shown(self) -> list[dict[str, Any]]:
        """Tell the plane of each: its name, what it watches, what it cannot see, and how much it has told."""
        return [
            {
                "name": watcher.label,
                "watches": watcher.name[:512],
                "trouble": self._troubles.get(watcher.name, "")[:512],
                "events": watcher.events,
            }
            for watcher in self._watchers
        ]
