"""Limits of a run's process, set by itself before the flow is loaded, and said when the flow ran into one."""

import errno
import functools
import json
import os
import resource
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from inspect import isasyncgenfunction, iscoroutinefunction, isgeneratorfunction
from typing import Any, Final

#: The limits that are set, as JSON: `memory` (bytes), `cpu_seconds`, `open_files`, `nice`.
LIMITS: Final = "AIRSIDE_RUN_LIMITS"
#: Linux counts in DATA what a process has taken for itself; in AS also what it has only mapped.
_MEMORY: Final = resource.RLIMIT_DATA if sys.platform == "linux" else resource.RLIMIT_AS
_SECONDS_TO_DIE: Final = 5


def take() -> dict[str, int]:
    """Set the limits that the environment names; gives them."""
    limits: dict[str, int] = json.loads(os.environ.pop(LIMITS, "{}"))
    if (seconds := limits.get("cpu_seconds")) is not None:
        _lower(resource.RLIMIT_CORE, 0)
        _lower(resource.RLIMIT_CPU, seconds, seconds + _SECONDS_TO_DIE)
    if (files := limits.get("open_files")) is not None:
        _lower(resource.RLIMIT_NOFILE, files)
    if nice := limits.get("nice"):
        os.nice(nice)
    if (size := limits.get("memory")) is not None:
        _lower(_MEMORY, size)
    return limits


def telling(function: Callable[..., Any], limits: Mapping[str, int]) -> Callable[..., Any]:
    """Wrap a flow's function: what it raises at a limit says so. Generators are left as they are."""
    if not limits or isgeneratorfunction(function) or isasyncgenfunction(function):
        return function
    if iscoroutinefunction(function):

        @functools.wraps(function)
        async def later(*args: Any, **kwargs: Any) -> Any:
            with _told(limits):
                return await function(*args, **kwargs)

        return later

    @functools.wraps(function)
    def now(*args: Any, **kwargs: Any) -> Any:
        with _told(limits):
            return function(*args, **kwargs)

    return now


@contextmanager
def _told(limits: Mapping[str, int]) -> Iterator[None]:
    try:
        yield
    except MemoryError as error:
        if "memory" not in limits:
            raise
        text = f"the limit of {limits['memory'] / 2**20:,.0f} MiB was reached (infrastructure: memory)"
        raise MemoryError(text) from error
    except OSError as error:
        if error.errno != errno.EMFILE or "open_files" not in limits:
            raise
        text = f"the limit of {limits['open_files']:,} was reached (infrastructure: open_files)"
        raise OSError(errno.EMFILE, f"{error.strerror}: {text}", error.filename) from error


def _lower(which: int, soft: int, hard: int | None = None) -> None:
    """Set a limit, never above the one that is there."""
    most = resource.getrlimit(which)[1]
    wanted = soft if hard is None else hard
    hard = wanted if most == resource.RLIM_INFINITY else min(wanted, most)
    resource.setrlimit(which, (min(soft, hard), hard))
