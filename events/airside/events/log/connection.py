"""A connection to NATS that waits neither for ever nor gives up for good."""

import asyncio
import logging
from typing import Any, Final

from nats.aio.client import Client
from nats.errors import Error as NatsError

from airside.events.exceptions import LogUnavailable

CONNECT_TIMEOUT_SECONDS: Final = 10.0
#: Answers to the plane go to inboxes of its own: what it reads of the log and of its stores arrives there, and clients
#: who may post may listen on `_INBOX.>`.
INBOX_PREFIX: Final = b"_AIRSIDE_INBOX"
_log = logging.getLogger("airside.log")


async def connect(
    url: str,
    *,
    name: str,
    timeout: float = CONNECT_TIMEOUT_SECONDS,
    client: type[Client] = Client,
    inbox_prefix: bytes = INBOX_PREFIX,
    **options: Any,
) -> Client:
    """Connect to a NATS server or cluster (several URLs between commas).

    After the first success it reconnects by itself for as long as it lives. Raises LogUnavailable when there is no
    answer within `timeout` seconds: nats-py alone would wait for ever.
    """
    connection = client()
    try:
        await asyncio.wait_for(
            connection.connect(
                [part.strip() for part in url.split(",")],
                name=name,
                inbox_prefix=inbox_prefix,
                max_reconnect_attempts=-1,
                reconnect_time_wait=0.25,  # type: ignore[arg-type]
                ping_interval=20,
                max_outstanding_pings=2,
                error_cb=_on_error,
                disconnected_cb=_on_disconnect,
                reconnected_cb=_on_reconnect,
                **options,
            ),
            timeout,
        )
    except (TimeoutError, OSError, NatsError) as error:
        await connection.close()
        raise LogUnavailable(f"no NATS server answers at {_masked(url)}: {error!r}") from error
    return connection


def _masked(url: str) -> str:
    return ",".join(part.rpartition("@")[2] for part in url.split(","))


async def _on_error(error: Exception) -> None:
    _log.debug("nats: %r", error)


async def _on_disconnect() -> None:
    _log.info("the connection to NATS is lost; trying again")


async def _on_reconnect() -> None:
    _log.info("the connection to NATS is back")
