"""How entries of the log come in over the wire, however the network cuts them up."""

import asyncio
import itertools

from hypothesis import given
from hypothesis import strategies as st

from airside.events.log.receiving import Inbox, ReaderClient

REPLY = b"$JS.ACK.EVENTS.reader.1.%d.1.1700000000000000000.0"
STORED = b"NATS/1.0\r\nNats-Msg-Id: x\r\n\r\n"
STATUS = b"NATS/1.0 100 Idle Heartbeat\r\n\r\n"

bodies = st.binary(max_size=40) | st.sampled_from([b"", b"\r\n", b"MSG a 1 2\r\n", b"{}"])


class Listening(ReaderClient):
    """Keeps what goes the way of every message."""

    def __init__(self) -> None:
        super().__init__()
        self.others: list[tuple[int, bytes, bytes, bytes, bytes]] = []

    async def _process_msg(self, sid: int, subject: bytes, reply: bytes, data: bytes, headers: bytes) -> None:
        self.others.append((sid, subject, reply, data, headers))


def with_headers(sid: int, reply: bytes, headers: bytes, body: bytes) -> bytes:
    return b"HMSG s.a %d %s%d %d\r\n%s%s\r\n" % (sid, reply, len(headers), len(headers) + len(body), headers, body)


def without(sid: int, reply: bytes, body: bytes) -> bytes:
    return b"MSG s.a %d %s%d\r\n%s\r\n" % (sid, reply, len(body), body)


@given(
    kinds=st.lists(st.tuples(st.sampled_from(["entry", "bare", "status", "other", "ok"]), bodies), max_size=12),
    cuts=st.lists(st.integers(0, 600), max_size=12),
)
def test_entries_arrive_whole_and_in_order_wherever_the_stream_is_cut(
    kinds: list[tuple[str, bytes]], cuts: list[int]
) -> None:
    stream, entries, others = b"", [], []
    for number, (kind, body) in enumerate(kinds):
        reply = REPLY % number
        if kind == "entry":
            stream += with_headers(7, reply + b" ", STORED, body)
            entries.append((b"s.a", reply, body))
        elif kind == "bare":
            stream += without(7, reply + b" ", body)
            entries.append((b"s.a", reply, body))
        elif kind == "status":
            stream += with_headers(7, b"", STATUS, b"")
            others.append((7, b"s.a", b"", b"", STATUS))
        elif kind == "other":
            stream += with_headers(8, b"back ", STORED, body)
            others.append((8, b"s.a", b"back", body, STORED))
        else:
            stream += b"+OK\r\n"

    async def receive() -> tuple[list[tuple[bytes, bytes, bytes]], list[tuple[int, bytes, bytes, bytes, bytes]]]:
        client = Listening()
        inbox = client.inboxes[b"7"] = Inbox()
        places = sorted({0, *(cut for cut in cuts if cut < len(stream)), len(stream)})
        for start, end in itertools.pairwise(places):
            await client._ps.parse(stream[start:end])
        return inbox.entries, client.others

    assert asyncio.run(receive()) == (entries, others)
