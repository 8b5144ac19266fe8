"""A Docker engine. `DOCKER_HOST`, `DOCKER_TLS_VERIFY` and `DOCKER_CERT_PATH` say which, as for the `docker` command."""

import asyncio
import functools
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final, TypeVar

from airside.agent.working.exceptions import CannotPrepare, NotHere

R = TypeVar("R")

_ANSWER_SECONDS: Final = 60
_PING_SECONDS: Final = 5.0
_THREADS: Final = 8
_MAX_TEXT: Final = 500
_USUAL: Final = "unix:///var/run/docker.sock"


class EngineAway(NotHere):
    """The Docker engine does not answer."""


class EngineRefuses(CannotPrepare):
    """The Docker engine understood and says no; `status` is its HTTP status."""

    def __init__(self, message: str, status: int = 0) -> None:
        self.status = status
        super().__init__(message)


class Engine:
    """The client, and threads for it. Everything raises EngineAway and EngineRefuses."""

    def __init__(self, client: Any) -> None:
        #: Of docker's low-level API. Blocks.
        self.client = client
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="airside-docker")

    async def ask(self, method: Callable[..., R], *args: Any, **kwargs: Any) -> R:
        """Call a method of the client, beside this loop."""
        call = functools.partial(told, method, *args, **kwargs)
        return await asyncio.get_running_loop().run_in_executor(self._threads, call)

    def beside(self, work: Callable[[], R]) -> "asyncio.Future[R]":
        """Do what takes as long as a container runs in a thread of its own, that does not hold up the agent's end."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[R] = loop.create_future()

        def settle(value: R | None, error: BaseException | None) -> None:
            if future.done():
                return
            if error is not None:
                future.set_exception(error)
            else:
                future.set_result(value)  # type: ignore[arg-type] # there is one without an error

        def run() -> None:
            value, error = None, None
            try:
                value = work()
            except BaseException as caught:  # noqa: BLE001 - told to who waits
                error = caught
            try:
                loop.call_soon_threadsafe(settle, value, error)
            except RuntimeError:  # the agent has ended
                pass

        threading.Thread(target=run, name="airside-container", daemon=True).start()
        return future


def told(method: Callable[..., R], *args: Any, **kwargs: Any) -> R:
    """Call a method of the client, with its errors as ours. Blocks."""
    from docker import errors  # noqa: PLC0415 - not in the base install
    from requests.exceptions import RequestException  # noqa: PLC0415
    from urllib3.exceptions import HTTPError  # noqa: PLC0415

    try:
        return method(*args, **kwargs)
    except errors.APIError as error:
        text = str(error.explanation or error)[:_MAX_TEXT]
        if (error.status_code or 0) >= 500 and error.status_code != 501:
            raise EngineRefuses(f"docker: {text}", error.status_code) from error
        raise EngineRefuses(f"docker: {text}", error.status_code or 0) from error
    except (errors.DockerException, RequestException, HTTPError, OSError) as error:
        raise EngineAway(f"the Docker engine does not answer: {str(error)[:_MAX_TEXT]}") from error


@functools.cache
def _connected() -> Engine:
    try:
        import docker  # noqa: PLC0415
    except ImportError as error:
        raise NotHere(
            "containers need Docker's client on the agent's machine: pip install 'airside[docker]'"
        ) from error
    address = os.environ.get("DOCKER_HOST") or _USUAL
    if address.startswith("unix://") and not Path(address.removeprefix("unix://")).is_socket():
        raise EngineAway(f"there is no Docker engine at {address} (DOCKER_HOST)")
    return Engine(told(docker.from_env, timeout=_ANSWER_SECONDS, version="auto").api)


def forget() -> None:
    """Close the connections, at the agent's end."""
    if _connected.cache_info().currsize:
        _connected().client.close()
    _connected.cache_clear()


async def connect() -> Engine:
    """Give the engine of this machine; asks it for its version once."""
    return await asyncio.to_thread(_connected)


async def works() -> str:
    """Say why no container can be started here; empty: it can."""
    try:
        async with asyncio.timeout(_PING_SECONDS):
            engine = await connect()
            await engine.ask(engine.client.ping)
    except TimeoutError:
        return f"the Docker engine has not answered for {_PING_SECONDS:g} s"
    except CannotPrepare as error:
        return str(error)
    return ""
