"""WebSockets whose pongs the application sends itself.

A WebSocket library answers pings as soon as it reads them. For Prefect's client a pong says that everything sent before
it is safe, so here a ping comes to the application in its turn, as `{"type": "websocket.receive", "airside.ping":
payload}`, and the application answers with `{"type": "airside.pong", "payload": payload}` when that is true. Whoever
serves such a connection finds `airside.pong` among the scope's extensions.
"""

import logging
from collections import deque
from typing import Any, Final

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.exceptions import InvalidState
from websockets.frames import Frame, Opcode
from websockets.server import ServerProtocol

#: Under this name a scope says that pings come to the application.
EXTENSION: Final = "airside.pong"
#: With a message of this type the application says that it knows who sends: from then on messages may be large.
ADMITTED: Final = "airside.admitted"
#: One message of somebody unknown: a token, no more.
MAX_FIRST_BYTES: Final = 16_384
#: One message. Five times what Prefect itself takes: a client that is cut off sends the same again, for ever.
MAX_MESSAGE_BYTES: Final = 8 * 2**20
_base: Any = WebSocketsSansIOProtocol
_log = logging.getLogger("airside.sockets")


class _HeldPongs(ServerProtocol):
    """The protocol without its own answer to pings."""

    def __init__(self) -> None:
        # No compression: a few bytes of it may become gigabytes before anybody has looked.
        super().__init__(max_size=MAX_FIRST_BYTES, logger=_log)
        self.pings: deque[bytes] = deque()

    def recv_frame(self, frame: Frame) -> None:
        """Take a frame; a ping is handed on like a message."""
        if frame.opcode is Opcode.PING:
            self.pings.append(bytes(frame.data))
            self.events.append(frame)
        else:
            super().recv_frame(frame)


class SocketProtocol(_base):  # type: ignore[misc]
    """uvicorn's own protocol, with pings handed to the application."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.conn = _HeldPongs()
        self.frames: list[bytes] = []
        self.read_paused: bool = False

    def handle_connect(self, event: Any) -> None:
        """Begin to serve a connection."""
        super().handle_connect(event)
        if not self.close_sent:
            self.scope["extensions"][EXTENSION] = {}

    def connection_lost(self, exc: Exception | None) -> None:
        """Let go of a message that will never be whole: the connection is a circle, and nobody collects it soon."""
        self.frames = []
        self.conn.reader.discard()
        self.conn.parser.close()  # it keeps the last frame
        super().connection_lost(exc)

    def handle_ping(self) -> None:
        """Queue a ping behind the messages before it; nothing more is read until it was taken."""
        payload = self.conn.pings.popleft()
        if self.close_sent:
            return
        self.queue.put_nowait({"type": "websocket.receive", "airside.ping": payload})
        if not self.read_paused:
            self.read_paused = True
            self.transport.pause_reading()

    async def send(self, message: Any) -> None:
        """Send what the application wants sent; a pong to somebody who has gone is no matter."""
        if message["type"] == ADMITTED:
            self.conn.max_message_size = MAX_MESSAGE_BYTES
            return
        if message["type"] != EXTENSION:
            await super().send(message)
            return
        await self.writable.wait()
        if self.disconnected or self.close_sent or self.transport.is_closing():
            return
        try:
            self.conn.send_pong(message["payload"])
        except InvalidState:
            return
        self.transport.write(b"".join(self.conn.data_to_send()))
