"""Generator flows: what they yield comes out as it is made, and the run ends when the generator does."""

import functools
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from airside.sdk.flows import attempts, interrupts
from airside.sdk.flows.exceptions import RunCancelled
from airside.sdk.flows.flow_run import Life
from airside.sdk.flows.states import completed

if TYPE_CHECKING:
    from airside.sdk.flows.flow import Flow

_END: Final = object()


def each(flow: "Flow[..., Any]", values: Mapping[str, Any]) -> Iterator[Any]:
    """Run a generator flow, each step in the run's context: between steps the caller has its own. No retries."""
    life = Life(flow, values)
    with life.around():
        with interrupts.Shield(), life.inside():
            if (state := life.begin()) is not None:
                state.result()
            attempts.hold(life.stop)
            life.attempt()
            made = life.work()
        left = _left(flow.options.timeout)
        while True:
            with interrupts.Shield(), life.inside():
                try:
                    step = functools.partial(next, made, _END)
                    value = attempts.call(step, timeout=left(), stop=life.stop, sink=life.sink)
                    if value is _END:
                        life.wait_for_tasks()
                        life.finish(completed())
                        return
                except BaseException as error:
                    life.end(life.abandon(error))
                    raise
            try:
                yield value
            except GeneratorExit:
                with interrupts.Shield(), life.inside():
                    made.close()
                    life.end(life.abandon(_unwanted()))
                raise


async def each_async(flow: "Flow[..., Any]", values: Mapping[str, Any]) -> AsyncIterator[Any]:
    """Run an async generator flow, as `each`."""
    import asyncio  # noqa: PLC0415 - who is here has it

    life = Life(flow, values, asyncio.get_running_loop())
    with life.around():
        with life.inside():
            if (state := life.begin()) is not None:
                state.result()
            await attempts.ahold(life.stop)
            life.attempt()
            made = life.work()
        left = _left(flow.options.timeout)
        while True:
            with life.inside():
                try:
                    step = functools.partial(anext, made, _END)
                    value = await attempts.acall(step, timeout=left(), stop=life.stop, sink=life.sink)
                    if value is _END:
                        await life.tasks_ended()
                        life.finish(completed())
                        return
                except BaseException as error:
                    life.end(await life.abandon_async(error))
                    raise
            try:
                yield value
            except GeneratorExit:
                with life.inside():
                    await made.aclose()
                    life.end(await life.abandon_async(_unwanted()))
                raise


def _unwanted() -> RunCancelled:
    return RunCancelled("its values were not wanted any more")


def _left(timeout: float | None) -> Any:
    """Count down the seconds that all steps together may take."""
    if timeout is None:
        return lambda: None
    end = time.monotonic() + timeout
    return lambda: max(end - time.monotonic(), 0.001)
