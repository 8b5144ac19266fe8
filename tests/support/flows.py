"""A reporter that keeps each change of state, as a server would learn it."""

import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import pytest

from airside.events.run_states import State, may_change
from airside.sdk.flows import reporting
from airside.sdk.flows.reporting import Change, Run, Verdict


class Collector:
    """Keeps the events of all changes, in the order they were told."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self._lock = threading.Lock()

    def report(self, change: Change) -> None:
        event = change.event()
        with self._lock:
            self.events.append(event)

    def propose(self, change: Change) -> Verdict:
        self.report(change)
        return Verdict(True, change.state, change.seq)

    def attend(self, run: Run, stop: Any) -> AbstractContextManager[object]:
        return nullcontext()

    def types(self, kind: str = "") -> list[str]:
        """Give the types of the events, those of one kind of run if told."""
        return [event["type"] for event in self.events if event["type"].startswith(kind)]

    def of(self, name: str) -> list[dict[str, Any]]:
        """Give the events of the run with this name, or whose name begins with it and a number."""
        return [e for e in self.events if e["resource"]["name"].rpartition("-")[0] == name or _name(e) == name]

    def states(self, name: str) -> list[str]:
        """Give the states that the runs of one flow or task went through."""
        return [event["type"].partition(".")[2] for event in self.of(name)]

    def check(self) -> None:
        """Hold every run against the table: numbered from 1 without holes, allowed changes only, ended at last."""
        runs: dict[str, list[dict[str, Any]]] = {}
        for event in self.events:
            if event["type"].split(".")[0] in ("flow_run", "task_run"):
                runs.setdefault(event["resource"]["id"], []).append(event)
        for events in runs.values():
            assert [event["payload"]["seq"] for event in events] == list(range(1, len(events) + 1)), events
            last: State | None = None
            for event in events:
                state = State(event["type"].partition(".")[2])
                assert may_change(last, state), (last, event["type"], event["resource"]["name"])
                assert event["payload"].get("previous") == (last.value if last else None)
                last = state


def _name(event: dict[str, Any]) -> str:
    return str(event["resource"]["name"])


@pytest.fixture
def told() -> Iterator[Collector]:
    """What the runs of a test tell; held against the table of states at the end."""
    found = Collector()
    reporting.use(found)
    yield found
    reporting.use(None)
    found.check()
