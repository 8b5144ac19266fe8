"""Runs that have finished: their windows close for good, and later events of theirs open none."""

from collections import OrderedDict
from typing import Any, Final

MAX_FINISHED: Final = 100_000  # remembered finished runs; the oldest are forgotten first


class Runs:
    """Finished runs, and who wants to know when one finishes. Watchers are not saved: the triggers watch again."""

    def __init__(self) -> None:
        self._finished: OrderedDict[tuple[str, str], None] = OrderedDict()
        self._watchers: dict[tuple[str, str], dict[tuple[int, Any], None]] = {}

    def is_finished(self, workspace: str, run: str) -> bool:
        """Tell whether the run has finished."""
        return (workspace, run) in self._finished

    def watch(self, workspace: str, run: str, rule: int, token: Any) -> None:
        """Note that a rule wants to know."""
        self._watchers.setdefault((workspace, run), {})[rule, token] = None

    def unwatch(self, workspace: str, run: str, rule: int, token: Any) -> None:
        """Take that back."""
        watchers = self._watchers.get((workspace, run))
        if watchers is not None:
            watchers.pop((rule, token), None)
            if not watchers:
                del self._watchers[workspace, run]

    def finish(self, workspace: str, run: str) -> list[tuple[int, Any]]:
        """Note that a run has finished, and give the rules that wanted to know, each with its token."""
        finished = self._finished
        finished[workspace, run] = None
        finished.move_to_end((workspace, run))
        if len(finished) > MAX_FINISHED:
            finished.popitem(last=False)
        return list(self._watchers.pop((workspace, run), ()))

    def save(self) -> Any:
        """Give the state as plain values."""
        return list(self._finished)

    def load(self, state: Any) -> None:
        """Take on a saved state."""
        self._finished = OrderedDict.fromkeys(map(tuple, state))
