"""`concurrency` and `rate_limit`: not too much at once, across all processes that ask the same server.

With no AIRSIDE_URL there is nobody to ask: then only what `set_local_limit` says holds, in this process alone.
"""

import asyncio
import functools
import inspect
import logging
import os
import re
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from types import TracebackType
from typing import Any, Final, Self, TypeVar
from uuid import uuid4

from airside.sdk.limiting import keeper, local, server
from airside.sdk.limiting.exceptions import (
    LeaseLost,
    LimitError,
    LimitMissing,
    LimitTimedOut,
    LimitUnavailable,
)
from airside.sdk.limiting.keeper import Lease
from airside.sdk.limiting.server import Away, QueueFull, Server

__all__ = [
    "LeaseLost",
    "LimitError",
    "LimitMissing",
    "LimitTimedOut",
    "LimitUnavailable",
    "arate_limit",
    "concurrency",
    "rate_limit",
    "set_local_limit",
]

F = TypeVar("F", bound=Callable[..., Any])

#: One request waits no longer, so that who is to stop notices.
_WAIT_SECONDS: Final = 5.0
#: A server that is away for longer is not waited for, unless `strict`.
_PATIENCE_SECONDS: Final = 30.0
_PAUSE_SECONDS: Final = 0.5
_PER = re.compile(r"([0-9]*\.?[0-9]+)\s*(ms|s|m|h|d)")
_UNITS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3_600.0, "d": 86_400.0}
_log = logging.getLogger("airside.limits")
_warned: set[str] = set()


class concurrency:  # noqa: N801 - read as a function: `with concurrency("warehouse"):`
    """Hold slots of one or several limits: `with`, `async with`, or above a function.

    Waits for room, first come first served, at most `timeout` seconds (LimitTimedOut). The slots are given back at the
    end of the block, or `ttl` seconds after this process was last heard of. A limit that does not exist limits nothing.

    With `strict`, a missing limit (LimitMissing), a server that does not answer (LimitUnavailable) and slots that were
    lost meanwhile (LeaseLost, at the end of the block or at `check()`) are errors; else they are warned of once.
    """

    def __init__(
        self,
        names: str | Sequence[str],
        *,
        occupy: int = 1,
        timeout: float | None = None,
        ttl: float = 30.0,
        strict: bool = False,
    ) -> None:
        self._names = sorted({names} if isinstance(names, str) else set(names))  # one order for all: no deadlock
        if not isinstance(occupy, int) or occupy < 1:
            raise ValueError(f"occupy must be a number from 1 on, not {occupy!r}")
        if ttl < 1:
            raise ValueError(f"ttl must be at least 1 second, not {ttl!r}")
        self._occupy, self._timeout, self._ttl, self._strict = occupy, timeout, ttl, strict
        self._held: list[list[Lease | local.LocalLimit]] = []

    def check(self) -> None:
        """Raise LeaseLost when the slots may be somebody else's by now."""
        for held in self._held:
            for lease in held:
                if isinstance(lease, Lease):
                    lease.check()

    def abandon(self) -> None:
        """Give back whatever is held, when it is not known how far a block was entered."""
        while self._held:
            self._give_back(self._held.pop(), failed=True)

    def __enter__(self) -> Self:
        held: list[Lease | local.LocalLimit] = []
        self._held.append(held)  # before anything is taken: this may be interrupted at any point
        try:
            self._take(held, threading.Event())
        except BaseException:
            self._held = [other for other in self._held if other is not held]
            self._give_back(held, failed=True)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._give_back(self._held.pop(), failed=error is not None)

    async def __aenter__(self) -> Self:
        given_up, held = threading.Event(), list[Lease | local.LocalLimit]()
        taking = asyncio.ensure_future(asyncio.to_thread(self._take, held, given_up))
        try:
            await asyncio.shield(taking)
        except BaseException:
            given_up.set()
            taking.add_done_callback(functools.partial(self._unwanted, held))
            raise
        self._held.append(held)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await asyncio.to_thread(self._give_back, self._held.pop(), failed=error is not None)

    def __call__(self, function: F) -> F:
        """Hold the slots while the function runs."""

        def again() -> concurrency:
            return concurrency(
                self._names, occupy=self._occupy, timeout=self._timeout, ttl=self._ttl, strict=self._strict
            )

        @functools.wraps(function)
        async def wrapped_async(*args: Any, **kwargs: Any) -> Any:
            async with again():
                return await function(*args, **kwargs)

        @functools.wraps(function)
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            with again():
                return function(*args, **kwargs)

        return wrapped_async if inspect.iscoroutinefunction(function) else wrapped  # type: ignore[return-value]

    def _take(self, held: "list[Lease | local.LocalLimit]", given_up: threading.Event) -> None:
        """Take the limits one after the other; each is in `held` as soon as it is ours."""
        end = None if self._timeout is None else time.monotonic() + self._timeout
        try:
            where = server.of_process()
            for name in self._names:
                if where is None:
                    held.extend(self._local(name, end))
                else:
                    self._lease(held, where, name, end=end, given_up=given_up)
        except LimitUnavailable as error:
            if self._strict:
                raise
            _warn(f"{', '.join(self._names)}: not limited, since {error}")

    def _local(self, name: str, end: float | None) -> Iterator[local.LocalLimit]:
        limit = local.limits.get(name)
        if limit is None:
            if self._strict:
                raise LimitMissing(f"there is no limit {name}: no AIRSIDE_URL is set, nor `set_local_limit`")
            return
        limit.acquire(name, self._occupy, None if end is None else max(end - time.monotonic(), 0.0))
        yield limit

    def _lease(
        self,
        held: "list[Lease | local.LocalLimit]",
        where: Server,
        name: str,
        *,
        end: float | None,
        given_up: threading.Event,
    ) -> None:
        lease_id, away_since = str(uuid4()), None
        body = {"lease": lease_id, "holder": _holder(), "slots": self._occupy, "ttl": self._ttl}
        granted = False
        try:
            while not given_up.is_set():
                sent = time.monotonic()
                wait = min(_WAIT_SECONDS, self._ttl / 2, _WAIT_SECONDS if end is None else max(end - sent, 0.0))
                try:
                    answer = where.post(name, "acquire", {**body, "wait": wait}, wait)
                    away_since = None
                except LimitMissing as error:
                    if self._strict:
                        raise LimitMissing(f"there is no limit {name}") from error
                    _warn(f"there is no limit {name}: nothing is limited")
                    return
                except QueueFull:
                    away_since, answer = None, {"granted": False}
                    given_up.wait(_PAUSE_SECONDS)
                except Away as error:
                    away_since = away_since or sent
                    if time.monotonic() - away_since > _PATIENCE_SECONDS:
                        raise LimitUnavailable(str(error)) from error
                    answer = {"granted": False}
                    given_up.wait(_PAUSE_SECONDS)
                if answer["granted"]:
                    lease = Lease(where, name, lease_id, slots=self._occupy, ttl=self._ttl, sent=sent)
                    held.append(lease)
                    granted = True
                    keeper.keeper.add(lease)
                    return
                if end is not None and time.monotonic() >= end:
                    raise LimitTimedOut(f"no room in {name} within {self._timeout:g} s")
            raise LimitTimedOut(f"nobody waits for {name} any more")
        finally:
            if not granted and away_since is None:
                _withdraw(where, name, lease_id)

    def _give_back(self, held: "list[Lease | local.LocalLimit]", *, failed: bool) -> None:
        lost = ""
        for lease in reversed(held):
            if isinstance(lease, local.LocalLimit):
                lease.release(self._occupy)
                continue
            keeper.keeper.drop(lease)
            lost = lost or (f"{lease.name} was not held to the end: {lease.lost}" if lease.lost else "")
            lease.release()
        if lost and self._strict and not failed:
            raise LeaseLost(lost)
        if lost:
            _log.warning("%s", lost, extra={"action": "limits.lost"})

    def _unwanted(self, held: "list[Lease | local.LocalLimit]", taking: "asyncio.Future[None]") -> None:
        """Give back what was granted to somebody who was cancelled."""
        if not taking.cancelled():
            taking.exception()  # seen
        threading.Thread(target=self._give_back, args=(held,), kwargs={"failed": True}, daemon=True).start()


def rate_limit(
    name: str,
    *,
    per: str | float | timedelta = "1s",
    slots: int = 1,
    occupy: int = 1,
    timeout: float | None = None,
    strict: bool = False,
) -> None:
    """Wait until there is room in `slots` per `per`, shared by all who use the name; at most `timeout` seconds.

    A rate that was set at the server (`airside limits set NAME SLOTS --per 1s`) rules over the one given here. Raises
    LimitTimedOut at once when it would take longer; with `strict`, LimitUnavailable.
    """
    delay = _reserve(name, seconds_of(per), slots=slots, occupy=occupy, timeout=timeout, strict=strict)
    if delay > 0:
        time.sleep(delay)


async def arate_limit(
    name: str,
    *,
    per: str | float | timedelta = "1s",
    slots: int = 1,
    occupy: int = 1,
    timeout: float | None = None,
    strict: bool = False,
) -> None:
    """Wait as `rate_limit`, without blocking the event loop."""
    seconds = seconds_of(per)
    delay = await asyncio.to_thread(_reserve, name, seconds, slots=slots, occupy=occupy, timeout=timeout, strict=strict)
    await asyncio.sleep(delay)


def set_local_limit(name: str, slots: int) -> None:
    """Limit this process alone, for when no AIRSIDE_URL is set. Again with another number: a new limit."""
    local.limits[name] = local.LocalLimit(slots)


def _reserve(name: str, seconds: float, *, slots: int, occupy: int, timeout: float | None, strict: bool) -> float:
    most = 30.0 if timeout is None else min(timeout, 30.0)
    end = None if timeout is None else time.monotonic() + timeout
    away_since: float | None = None
    while True:
        try:
            where = server.of_process()
            if where is None:
                return local.rates.take(name, occupy, slots, seconds, timeout)
            default = {"slots": slots, "per_seconds": seconds}
            body = {"slots": occupy, "wait": most, "default": default}
            answer = where.post(name, "acquire", body)
            if answer["granted"]:
                return float(answer["delay"])
            pause = min(float(answer["delay"]) - most, 10.0)
            if end is not None and time.monotonic() + float(answer["delay"]) > end:
                raise LimitTimedOut(f"{name} gives room in {answer['delay']:.3g} s only")
        except Away as error:
            away_since = away_since or time.monotonic()
            if time.monotonic() - away_since > _PATIENCE_SECONDS:
                if strict:
                    raise
                _warn(f"{name}: not limited, since {error}")
                return 0.0
            pause = _PAUSE_SECONDS
        if end is not None and time.monotonic() > end:
            raise LimitTimedOut(f"no room in {name} within {timeout:g} s")
        time.sleep(max(pause, 0.05))


def _withdraw(where: Server, name: str, lease: str) -> None:
    try:
        where.post(name, "release", {"lease": lease})
    except LimitError:
        pass  # the place goes by itself


def seconds_of(per: str | float | timedelta) -> float:
    """Read a time such as `1s` or `5m`, or a number of seconds. Raises ValueError."""
    if isinstance(per, timedelta):
        return per.total_seconds()
    found = _PER.fullmatch(per.strip()) if isinstance(per, str) else None
    seconds = float(found[1]) * _UNITS[found[2]] if found else per if not isinstance(per, str) else 0.0
    if seconds <= 0:
        raise ValueError(f"per must be a time like '1s' or '5m', or seconds, not {per!r}")
    return float(seconds)


def _holder() -> str:
    """Name who holds, for people: the run if there is one, the machine and the process."""
    context = sys.modules.get("airside.sdk.flows.context")
    run = context.current_run() if context is not None else None
    return f"{run.run.name + ' on ' if run is not None else ''}{socket.gethostname()}, process {os.getpid()}"


def _warn(text: str) -> None:
    if text not in _warned:
        _warned.add(text)
        _log.warning("%s", text, extra={"action": "limits.not_limited"})
