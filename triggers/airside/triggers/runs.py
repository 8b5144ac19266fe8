"""Runs that have finished: their windows close for good, and later events of theirs open none."""

from collections import OrderedDict
from typing import Any, Final

MAX_FINISHED: Final = 100_000  # remembered finished runs; the oldest are forgotten first


class Runs:
    """Finished runs, and who wants to know when one finishes. Watchers are not saved: the triggers watch again."""

    def __init__(self) -> None:
        #: Runs by workspace and id.
        self.finished: OrderedDict[tuple[str, str], None] = OrderedDict()
        # nearly always one for a run, and then not worth a table of its own
        self._watchers: dict[tuple[str, str], tuple[int, Any] | dict[tuple[int, Any], None]] = {}

    def watch(self, workspace: str, run: str, rule: int, token: Any) -> None:
        """Note that a rule wants to know."""
        name, watcher = (workspace, run), (rule, token)
        known = self._watchers.setdefault(name, watcher)
        if isinstance(known, dict):
            known[watcher] = None
        elif known != watcher:
            self._watchers[name] = {known: None, watcher: None}

    def unwatch(self, workspace: str, run: str, rule: int, token: Any) -> None:
        """Take that back."""
        known = self._watchers.get((workspace, run))
        if isinstance(known, dict):
            known.pop((rule, token), None)
        if not known or known == (rule, token):
            self._watchers.pop((workspace, run), None)

    def finish(self, workspace: str, run: str) -> list[tuple[int, Any]]:
        """Note that a run has finished, and give the rules that wanted to know, each with its token."""
        finished = self.finished
        finished[workspace, run] = None
        finished.move_to_end((workspace, run))
        if len(finished) > MAX_FINISHED:
            finished.popitem(last=False)
        known = self._watchers.pop((workspace, run), None)
        return [known] if isinstance(known, tuple) else list(known or ())

    def save(self) -> Any:
        """Give the state as plain values."""
        return list(self.finished)

    def load(self, state: Any) -> None:
        """Take on a saved state."""
        self.finished = OrderedDict.fromkeys(map(tuple, state))
