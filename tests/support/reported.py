"""A reporter that keeps what it is told, as events, in order."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

from airside.sdk.flows import reporting
from airside.sdk.flows.reporting import Change, Run, Verdict


class Kept:
    """Accepts everything."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []

    def report(self, change: Change) -> None:
        self.events.append(change.event())

    def propose(self, change: Change) -> Verdict:
        self.report(change)
        return Verdict(True, change.state, change.seq)

    def attend(self, run: Run, stop: Any) -> AbstractContextManager[object]:
        return nullcontext()

    def of(self, run_id: str) -> list[dict[str, Any]]:
        """Give the events about one run."""
        return [event for event in self.events if event["resource"]["id"].endswith(run_id)]

    def states(self, name: str) -> list[str]:
        """Give the states that the runs of this name went through."""
        return [event["type"].partition(".")[2] for event in self.events if event["resource"]["name"] == name]


@contextmanager
def kept() -> Iterator[Kept]:
    """Report to memory inside the block."""
    reporter = Kept()
    reporting.use(reporter)
    try:
        yield reporter
    finally:
        reporting.use(None)
