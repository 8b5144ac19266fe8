"""What HTTP connections may cost before they have asked for anything.

The HTTP server waits without end for the headers of a first request. Here a connection has some seconds for them, and
there are never more connections than file descriptors can be spared for: whoever has been silent for longest goes.
"""

import asyncio
import resource
from typing import Any, Final

from uvicorn.protocols.http.auto import AutoHTTPProtocol

#: Descriptors that the rest of the process needs: the broker, views, snapshots, queries, outgoing requests.
_OWN_DESCRIPTORS: Final = 256
_MOST_DESCRIPTORS: Final = 65_536
MAX_HEADER_BYTES: Final = 65_536
_BUSY: Final = (
    b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 2\r\nContent-Type: text/plain\r\nConnection: close\r\n"
    b"Content-Length: 30\r\n\r\nToo many connections are open\n"
)
_base: Any = AutoHTTPProtocol


def spare_descriptors() -> int:
    """Allow this process as many file descriptors as it may have; give how many of them connections can take."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _MOST_DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, _MOST_DESCRIPTORS)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        soft = wanted
    soft = _MOST_DESCRIPTORS if soft == resource.RLIM_INFINITY else soft
    return max(soft - _OWN_DESCRIPTORS, soft // 2)


class Connections:
    """The bounds that all connections of one server share."""

    def __init__(self, most: int, header_seconds: float) -> None:
        self.most = most
        self.header_seconds = header_seconds
        #: Connections that have not asked yet, the oldest first.
        self.silent: dict[Any, None] = {}

    def protocol(self) -> type[asyncio.Protocol]:
        """Make the protocol class for uvicorn's `http` setting."""
        return type("GuardedProtocol", (_Guarded,), {"bounds": self})


class _Guarded(_base):  # type: ignore[misc]
    """uvicorn's own protocol, with a deadline and a bound for headers."""

    bounds: Connections
    _deadline: asyncio.TimerHandle | None = None
    _unasked_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:
        super().connection_made(transport)
        if len(self.connections) > self.bounds.most and not self._make_room():
            transport.write(_BUSY)
            transport.close()
            return
        self._expect_headers()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._serves() or self.transport.get_protocol() is not self:  # it has become a WebSocket
            self._asked()
            return
        self._expect_headers()
        if self.cycle is None or not self.cycle.more_body:
            self._unasked_bytes += len(data)
            if self._unasked_bytes > MAX_HEADER_BYTES:
                self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self._asked()
        super().connection_lost(exc)

    def _serves(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _make_room(self) -> bool:
        """Close the connection that has been silent for longest."""
        oldest = next(iter(self.bounds.silent), None)
        if oldest is None:
            return False
        del self.bounds.silent[oldest]
        oldest.transport.abort()
        return True

    def _expect_headers(self) -> None:
        if self._deadline is None:
            self._deadline = self.loop.call_later(self.bounds.header_seconds, self._too_late)
            self.bounds.silent[self] = None

    def _asked(self) -> None:
        self._unasked_bytes = 0
        self.bounds.silent.pop(self, None)
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _too_late(self) -> None:
        self._deadline = None
        self.bounds.silent.pop(self, None)
        if not self._serves() and not self.transport.is_closing():
            self.transport.abort()
