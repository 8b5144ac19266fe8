"""What a run's process prints: the last lines are kept for whoever asks why it died, all go to the run's log."""

import logging
from collections import deque
from collections.abc import Iterable
from typing import Final

from airside.agent.working.storage import credentials
from airside.sdk.flows.log_outbox import LogOutbox

_TAIL_LINES: Final = 50
_TAIL_CHARS: Final = 1_000


class Output:
    """The output of one run. The agent's own secrets never get into it."""

    def __init__(self, run: str, outbox: LogOutbox | None, secrets: Iterable[str]) -> None:
        self._run = run
        self._outbox = outbox
        self._secrets = frozenset(secrets)
        self._tail: deque[str] = deque(maxlen=_TAIL_LINES)

    def hide(self, secrets: Iterable[str]) -> None:
        """Keep these out of the lines to come, too."""
        self._secrets |= frozenset(secrets)

    @property
    def tail(self) -> list[str]:
        """The last lines, oldest first."""
        return list(self._tail)

    def take(self, stream: str, line: str) -> None:
        """Take one line of `stdout` or `stderr`."""
        line = credentials.hide(line, self._secrets)
        self._tail.append(line[:_TAIL_CHARS])
        if self._outbox is not None and line:
            said = {"name": stream, "msg": "%s", "args": (line,), "levelno": logging.INFO, "levelname": "INFO"}
            self._outbox.put(self._run, None, logging.makeLogRecord(said))
