"""What must be ended, in the opposite order of its beginning, whatever becomes of each."""

import asyncio
import logging
from collections.abc import Callable
from typing import Any, Final

#: So long a step may take; a commit of much to a slow disk takes seconds.
STEP_SECONDS: Final = 20.0
_log = logging.getLogger("airside")


class Stops:
    """Steps that end things, functions or coroutine functions without arguments."""

    def __init__(self, *, step_seconds: float = STEP_SECONDS) -> None:
        self._step_seconds = step_seconds
        self._steps: list[Callable[[], Any]] = []

    def append(self, step: Callable[[], Any]) -> None:
        """Add a step, which comes before those that are there."""
        self._steps.append(step)

    async def run(self) -> None:
        """Take all steps. One that fails or does not come to its end is told in the log and left behind."""
        while self._steps:
            step = self._steps.pop()
            try:
                result = step()
                if asyncio.iscoroutine(result):
                    await self._bounded(result)
            except Exception:  # noqa: BLE001 - the other parts must be stopped all the same
                _log.exception("while stopping")

    async def _bounded(self, step: Any) -> None:
        task = asyncio.ensure_future(step)
        _, late = await asyncio.wait([task], timeout=self._step_seconds)
        if late:
            task.cancel()
            _log.error(
                "%s did not end within %.0f s; stopping goes on without it", step.__qualname__, self._step_seconds
            )
            return
        task.result()
