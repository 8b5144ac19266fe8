"""The coordinator behind its HTTP address, until a signal says stop."""

import asyncio
import contextlib
import gc
import signal
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Final

import uvicorn

from airside.coordinator.api import create_app
from airside.coordinator.connections import MAX_HEADER_BYTES, Connections, spare_descriptors
from airside.coordinator.coordinator import Coordinator
from airside.coordinator.settings import ServerSettings
from airside.coordinator.sockets import SocketProtocol
from airside.events.exceptions import AirsideError

_STOP_SECONDS: Final = 5
_BACKLOG: Final = 512
_WAY_OUT: Final = "Choose another port with --port, or stop the process that uses this one"


class AddressInUse(AirsideError):
    """Another process listens on this address. Choose another port with --port."""


class _HttpServer(uvicorn.Server):
    """A uvicorn whose signals are ours."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def serve(settings: ServerSettings, ready: Callable[[Coordinator, str], Awaitable[None]] | None = None) -> None:
    """Run a coordinator until SIGINT or SIGTERM, then stop everything in order.

    `ready` is awaited with the coordinator and its URL once events can be posted. Call it in the main thread. Raises
    AddressInUse, HomeInUse, ServerFailed, LogUnavailable, LogDamaged.
    """
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopping.set)
    async with running(settings) as (coordinator, url):
        if ready is not None:
            await ready(coordinator, url)
        await stopping.wait()


@contextlib.asynccontextmanager
async def running(settings: ServerSettings) -> AsyncIterator[tuple[Coordinator, str]]:
    """Run a coordinator and its HTTP server for as long as the block lasts; gives both it and its URL."""
    coordinator = Coordinator(settings)
    coordinator.claim_home()
    try:
        listener = _listen(settings)
    except BaseException:
        await coordinator.stop()
        raise
    url = _url(settings, listener)
    coordinator.addresses["http"] = url
    try:
        await coordinator.start()
    except BaseException:
        listener.close()
        raise
    coordinator.home.note(url=url)
    most = min(coordinator.http.max_connections, spare_descriptors())
    bounds = Connections(most, coordinator.http.header_seconds)
    config = uvicorn.Config(
        create_app(coordinator),
        lifespan="off",
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=_STOP_SECONDS,
        http=bounds.protocol(),
        ws=SocketProtocol,
        h11_max_incomplete_event_size=MAX_HEADER_BYTES,
        ssl_certfile=settings.tls_cert,
        ssl_keyfile=settings.tls_key,
    )
    http = _HttpServer(config)
    serving = asyncio.create_task(http.serve(sockets=[listener]), name="http")
    _settle_garbage()
    try:
        yield coordinator, url
    finally:
        coordinator.feed.close()  # open event streams end; new requests are still answered until the next line
        coordinator.shared_limits.close()
        coordinator.agent_work.claims.closed = True
        http.should_exit = True
        await asyncio.wait([asyncio.gather(serving, return_exceptions=True)], timeout=2 * _STOP_SECONDS)
        await coordinator.stop()
        gc.unfreeze()


def _listen(settings: ServerSettings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    try:
        return socket.create_server((settings.host, settings.port), family=family, backlog=_BACKLOG)
    except OSError as error:
        raise AddressInUse(f"cannot listen on {settings.host}:{settings.port}: {error.strerror}. {_WAY_OUT}") from error


def _url(settings: ServerSettings, listener: socket.socket) -> str:
    scheme = "https" if settings.tls_cert else "http"
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    return f"{scheme}://{host}:{listener.getsockname()[1]}"


def _settle_garbage() -> None:
    """Take what was imported out of the collector's sight and let it look less often: batches keep much alive."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)
