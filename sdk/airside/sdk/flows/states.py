"""What a run came to: its state with the value or the error, and how a flow's end follows from its parts."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Generic, TypeVar

from airside.events import run_states
from airside.events.run_states import State as Kind
from airside.sdk.flows.exceptions import BadOption, RunCancelled, RunCrashed, RunFailed, text_of

R = TypeVar("R")


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class State(Generic[R]):
    """The state of a run: `kind` as in `flow_run.<kind>`, the time (UTC) since when, and what it came to.

    `value` is what the function returned, `error` what it raised. Both stay on this machine.
    """

    kind: Kind
    message: str = ""
    value: Any = None
    error: BaseException | None = None
    time: datetime = field(default_factory=_now)

    def __post_init__(self) -> None:
        if type(self.kind) is not Kind:
            try:
                object.__setattr__(self, "kind", Kind(self.kind))
            except ValueError:
                raise BadOption(f"no state is called {self.kind!r}; there are {', '.join(Kind)}") from None

    @property
    def is_final(self) -> bool:
        """Whether the run has ended."""
        return self.kind in run_states.TERMINAL

    @property
    def is_completed(self) -> bool:
        """Whether there is a value: the run completed, or its result was known already."""
        return self.kind in (Kind.COMPLETED, Kind.CACHED)

    def result(self, *, raise_on_failure: bool = True) -> R:
        """Give the value. Of a run without one, raise its error, or give the error if `raise_on_failure` is off."""
        if self.is_completed:
            value: R = self.value
            return value
        error = self.error if self.error is not None else self._error()
        if raise_on_failure:
            raise error
        return error  # type: ignore[return-value] # asked for

    def _error(self) -> BaseException:
        text = self.message or f"the run is {self.kind.value}"
        return {Kind.CANCELLED: RunCancelled, Kind.CRASHED: RunCrashed}.get(self.kind, RunFailed)(text)


def completed(value: Any = None, message: str = "") -> State[Any]:
    """Make the state of a run that completed."""
    return State(Kind.COMPLETED, message, value)


def failed(error: BaseException | None = None, message: str = "") -> State[Any]:
    """Make the state of a run that failed."""
    return State(Kind.FAILED, message or describe(error), error=error)


def describe(error: BaseException | None) -> str:
    """Write an error in one line, as the last line of its traceback has it."""
    if error is None:
        return ""
    text = text_of(error).strip().splitlines()
    return f"{type(error).__name__}: {text[0][:500]}" if text else type(error).__name__


def from_return(value: Any, states: Iterable[State[Any]] | None) -> State[Any]:
    """Decide how a flow ends that returned `value`, which holds these states (None: it holds none).

    A returned state is the flow's own. Of several, all must have completed. A plain value completes the flow, whatever
    became of tasks that it ignored.
    """
    if states is None:
        return completed(value)
    if isinstance(value, State) and value.is_final:
        if value.kind is Kind.CACHED:
            return completed(value.value, value.message)
        return failed(value.error, value.message or "skipped") if value.kind is Kind.SKIPPED else value
    found = list(states)
    bad = [state for state in found if not state.is_completed]
    if not bad:
        return completed(value)
    if any(state.kind is Kind.CANCELLED for state in bad):
        return State(Kind.CANCELLED, f"{len(bad)} of {len(found)} returned runs did not complete", value)
    error = next((state.error for state in bad if state.error is not None), None)
    return State(Kind.FAILED, f"{len(bad)} of {len(found)} returned runs did not complete", value, error)
