"""The limits of a task: those that `@task(concurrency=…)` names, and those on its tags."""

import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Final

from airside.events.run_states import State as Kind
from airside.sdk.flows import attempts, context, interrupts

if TYPE_CHECKING:
    from airside.sdk.flows.task_run import Call
    from airside.sdk.limits import concurrency

_PREFIX: Final = "tag:"
_KNOWN_RUNS: Final = 32
_tagged: dict[str, frozenset[str]] = {}
_lock = threading.Lock()


@contextmanager
def held(call: "Call") -> Iterator[None]:
    """Hold the call's limits in the block: for one attempt. Waiting ends with RunCancelled when the run is to end."""
    limits = _limits(call)
    if limits is None:
        yield
        return
    _say_that_it_waits(call)
    try:
        interrupts.limited(limits.__enter__, None, call.stop)
    except BaseException:
        limits.abandon()
        raise
    try:
        yield
    finally:
        limits.__exit__(None, None, None)


@asynccontextmanager
async def held_async(call: "Call") -> AsyncIterator[None]:
    """Hold the call's limits, as `held`."""
    limits = _limits(call)
    if limits is None:
        yield
        return
    _say_that_it_waits(call)
    try:
        await attempts.acall(limits.__aenter__, timeout=None, stop=call.stop)
    except BaseException:
        limits.abandon()
        raise
    try:
        yield
    finally:
        await limits.__aexit__(None, None, None)


def _say_that_it_waits(call: "Call") -> None:
    if call.run.state is None:
        call.reporter.report(call.run.change(Kind.PENDING))


def _limits(call: "Call") -> "concurrency | None":
    named = call.task.options.concurrency or ()
    names = {named} if isinstance(named, str) else set(named)
    if call.tags:
        names |= {f"{_PREFIX}{tag}" for tag in call.tags} & _limited_tags()
    if not names:
        return None
    from airside.sdk.limits import concurrency  # noqa: PLC0415 - tasks without limits need none of it

    return concurrency(sorted(names))


def _limited_tags() -> frozenset[str]:
    """Ask, once in a flow run, which tags are limited. Also of a server that does not answer, once."""
    from airside.sdk.limiting import server  # noqa: PLC0415
    from airside.sdk.limiting.exceptions import LimitError  # noqa: PLC0415

    flow = context.flow_context.get()
    run = flow.run.id if flow is not None else ""
    with _lock:
        if run and run in _tagged:
            return _tagged[run]
        try:
            where = server.of_process()
            found = where.names(_PREFIX) if where is not None else frozenset()
        except LimitError:
            found = frozenset()
        while len(_tagged) >= _KNOWN_RUNS:
            _tagged.pop(next(iter(_tagged)))
        _tagged[run] = found
        return found
