"""A NATS client for readers of the log: stored entries come in by a short way.

nats-py looks at each message with several regular expressions, parses its headers, makes an object of it and hands that
through two coroutines. Nothing of this concerns a reader, and it costs more than all that is done with the entry
afterwards. Here the framing is read once, and what arrives at a reader's inbox is put into a list as it stands.
Everything else, status messages of the server among it, goes the way it always does.
"""

import asyncio
from typing import Final, TypeAlias

from nats.aio.subscription import Subscription
from nats.errors import ProtocolError
from nats.protocol.parser import Parser

from airside.events.log.connection import PromptClient

_LINE_END: Final = b"\r\n"
#: How lines begin: `HMSG subject sid [reply] headers-bytes all-bytes`, or `MSG subject sid [reply] bytes`. An entry of
#: the log always has a reply subject.
_H: Final = ord("H")
_M: Final = ord("M")
#: How the header block of a stored entry begins; a status of the server has its number behind the version.
_STORED: Final = b"NATS/1.0\r\n"

#: A stored entry as it came: its subject, the reply subject, which says its position, and its body.
Arrived: TypeAlias = tuple[bytes, bytes, bytes]


class Inbox:
    """Where the entries for one reader arrive; `arrived` is set when some have."""

    def __init__(self) -> None:
        self.entries: list[Arrived] = []
        self.arrived = asyncio.Event()


class ReaderClient(PromptClient):
    """The client that is best for readers of the log; for everything else it is like any other."""

    def __init__(self) -> None:
        super().__init__()
        self.inboxes: dict[bytes, Inbox] = {}
        self._ps = _Parser(self)

    def receive(self, subscription: Subscription) -> Inbox:
        """Let the entries for a subscription arrive in an inbox; its callback still gets whatever is no entry."""
        return self.inboxes.setdefault(b"%d" % subscription._id, Inbox())

    def receive_no_more(self, subscription: Subscription) -> None:
        """Forget the inbox."""
        self.inboxes.pop(b"%d" % subscription._id, None)

    async def _process_headers(self, headers: bytes | None) -> dict[str, str] | None:
        if not headers or headers.startswith(_STORED):
            return None
        return await super()._process_headers(headers)


class _Parser(Parser):
    """Reads the framing of messages; leaves the other lines of the protocol to nats-py."""

    def __init__(self, client: ReaderClient) -> None:
        self._client = client
        self._resets = 0
        super().__init__(client)

    def reset(self) -> None:
        super().reset()
        self._resets += 1
        self._rest: list[bytes] = []
        self._missing = 0  # bytes, at least, before the rest can be read on

    async def parse(self, data: bytes = b"") -> None:
        if self._rest:
            self._rest.append(data)
            self._missing -= len(data)
            if self._missing > 0:
                return
            data, self._rest = b"".join(self._rest), []
        try:
            await self._read(data)
        except (ValueError, IndexError) as error:
            raise ProtocolError("nats: malformed message") from error

    async def _read(self, data: bytes) -> None:
        """Go through whole messages and lines; keep what is left."""
        resets, inboxes, at, size = self._resets, self._client.inboxes, 0, len(data)
        while at < size:
            line_end = data.find(_LINE_END, at)
            if line_end < 0:
                return self._keep(data[at:], 1)
            if data[at] != _H and data[at] != _M:
                await super().parse(data[at : line_end + 2])
                after = line_end + 2
            else:
                words = data[at:line_end].split()
                start = line_end + 2
                stop = start + int(words[-1])
                after = stop + 2
                if after > size:
                    return self._keep(data[at:], after - size)
                has_headers = data[at] == _H
                inbox = inboxes.get(words[2])
                if inbox is None or (has_headers and not data.startswith(_STORED, start)):
                    await self._other(words, data[start:stop], has_headers=has_headers)
                else:
                    body = start + int(words[4]) if has_headers else start
                    inbox.entries.append((words[1], words[3], data[body:stop]))
                    inbox.arrived.set()
            if self._resets != resets:
                return None  # the connection is another one: what is left belongs to the old
            at = after
        return None

    def _keep(self, rest: bytes, missing: int) -> None:
        self._rest, self._missing = [rest], missing

    async def _other(self, words: list[bytes], content: bytes, *, has_headers: bool) -> None:
        """Hand on a message as nats-py does."""
        body = int(words[-2]) if has_headers else 0
        reply = words[3] if len(words) == (6 if has_headers else 5) else b""
        await self._client._process_msg(int(words[2]), words[1], reply, content[body:], content[:body])
