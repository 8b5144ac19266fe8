"""Work on large bodies, on threads beside the event loop: others are served meanwhile."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, TypeVar

T = TypeVar("T")

#: Less than this is done sooner than it is handed over.
_SMALL_BYTES: Final = 32_768
#: So many bodies at a time: each holds what it makes of its bytes in memory.
_THREADS: Final = ThreadPoolExecutor(2, thread_name_prefix="airside-bodies")


async def aside(size: int, function: Callable[..., T], *args: Any) -> T:
    """Call `function(*args)`, which works on `size` bytes: at once when they are few, else on a thread."""
    if size <= _SMALL_BYTES:
        return function(*args)
    return await asyncio.get_running_loop().run_in_executor(_THREADS, function, *args)
