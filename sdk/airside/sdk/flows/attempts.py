"""Running a function once: in its limits of time, with its prints logged; generators too."""

import functools
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

from airside.sdk.flows import interrupts, prints
from airside.sdk.flows.context import PAUSE_LOOK_SECONDS, Stop
from airside.sdk.flows.exceptions import RunCancelled, RunTimedOut

Sink = Callable[[str], None] | None


def call(function: Callable[[], Any], *, timeout: float | None, stop: Stop | None, sink: Sink) -> Any:
    """Call a plain function. Raises RunTimedOut, RunCancelled, or what it raises."""
    interrupts.ready_to_wake()
    if sink is None:
        return interrupts.limited(function, timeout, stop)
    with prints.logged(sink):
        return interrupts.limited(function, timeout, stop)


async def acall(
    function: Callable[[], Awaitable[Any]], *, timeout: float | None, stop: Stop | None, sink: Sink = None
) -> Any:
    """Call a coroutine function, cancelling it at its limits. Raises as `call`, and CancelledError from outside."""
    import asyncio  # noqa: PLC0415 - who awaits has it; plain flows do without

    with prints.logged(sink):
        work = asyncio.ensure_future(function())
    loop = asyncio.get_running_loop()

    def stopped(_reason: str) -> None:
        try:
            loop.call_soon_threadsafe(work.cancel)
        except RuntimeError:
            pass  # the loop is closed, and with it the work

    if stop is not None:
        stop.tell(stopped)
    try:
        async with asyncio.timeout(timeout) as limit:
            value = await work
        if limit.expired():
            raise RunTimedOut(f"took longer than {timeout:g} s")
        return value
    except TimeoutError as error:
        if isinstance(error, RunTimedOut) or not (limit.expired() and work.cancelled()):
            raise
        raise RunTimedOut(f"took longer than {timeout:g} s") from None
    except asyncio.CancelledError:
        if stop is not None and stop.asked:
            raise RunCancelled(stop.reason) from None
        raise
    finally:
        if stop is not None:
            stop.forget(stopped)
        if not work.done():
            work.cancel()


def hold(stop: Stop | None) -> None:
    """Wait while the run is paused by somebody. Raises RunCancelled when it is to end."""
    if stop is not None and stop.paused:
        interrupts.limited(stop.wait_while_paused, None, stop)


async def ahold(stop: Stop | None) -> None:
    """Wait as `hold`, without blocking the event loop."""
    import asyncio  # noqa: PLC0415

    while stop is not None and stop.paused:
        await acall(functools.partial(asyncio.sleep, PAUSE_LOOK_SECONDS), timeout=None, stop=stop)


def is_generator(function: Callable[..., Any]) -> bool:
    """Tell whether calling gives values one by one."""
    return inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function)


def is_async(function: Callable[..., Any]) -> bool:
    """Tell whether the function's calls are to be awaited or iterated with `async for`."""
    return inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function)


def listed(function: Callable[..., Any]) -> Callable[..., Any]:
    """Make of a generator function one that gives the list of what it yields."""
    if inspect.isasyncgenfunction(function):

        async def all_async(*args: Any, **kwargs: Any) -> list[Any]:
            values: AsyncIterator[Any] = function(*args, **kwargs)
            return [value async for value in values]

        return all_async
    if inspect.isgeneratorfunction(function):

        def all_sync(*args: Any, **kwargs: Any) -> list[Any]:
            values: Iterator[Any] = function(*args, **kwargs)
            return list(values)

        return all_sync
    return function
