"""A connection to NATS that waits neither for ever nor gives up for good."""

import asyncio
import logging
from typing import Any, Final

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.errors import TimeoutError as NatsTimeoutError

from airside.events.exceptions import LogUnavailable

CONNECT_TIMEOUT_SECONDS: Final = 10.0
#: Answers to the plane go to inboxes of its own: what it reads of the log and of its stores arrives there, and clients
#: who may post may listen on `_INBOX.>`.
INBOX_PREFIX: Final = b"_AIRSIDE_INBOX"
_log = logging.getLogger("airside.log")


class PromptClient(Client):
    """The client, with requests that end when they are cancelled.

    It waits with `asyncio.wait_for`, which before Python 3.12 keeps a cancellation to itself when the answer comes in
    the same moment: the task would go on, and who waits for its end would wait for ever.
    """

    async def request(
        self,
        subject: str,
        payload: bytes = b"",
        timeout: float = 0.5,
        old_style: bool = False,
        headers: dict[str, Any] | None = None,
    ) -> Msg:
        """Ask, and wait so many seconds for the answer."""
        try:
            async with asyncio.timeout(timeout):
                unbounded: Any = None
                return await super().request(subject, payload, unbounded, old_style, headers)
        except NatsError:
            raise
        except TimeoutError as error:
            raise NatsTimeoutError from error


async def connect(
    url: str,
    *,
    name: str,
    timeout: float = CONNECT_TIMEOUT_SECONDS,
    client: type[Client] = PromptClient,
    inbox_prefix: bytes = INBOX_PREFIX,
    **options: Any,
) -> Client:
    """Connect to a NATS server or cluster (several URLs between commas).

    After the first success it reconnects by itself for as long as it lives. Raises LogUnavailable when there is no
    answer within `timeout` seconds: nats-py alone would wait for ever.
    """
    connection = client()
    said: list[str] = []

    async def noted(error: Exception) -> None:
        said[:] = [str(error) or type(error).__name__]
        _log.debug("nats: %r", error)

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
                error_cb=noted,
                disconnected_cb=_on_disconnect,
                reconnected_cb=_on_reconnect,
                **options,
            ),
            timeout,
        )
    except (TimeoutError, OSError, NatsError) as error:
        await connection.close()
        why = said[-1] if said else str(error) or f"nothing came within {timeout:g} s"
        raise LogUnavailable(f"no NATS server answers at {_masked(url)}: {why}") from error
    return connection


def _masked(url: str) -> str:
    return ",".join(part.rpartition("@")[2] for part in url.split(","))


async def _on_disconnect() -> None:
    _log.info("the connection to NATS is lost; trying again")


async def _on_reconnect() -> None:
    _log.info("the connection to NATS is back")
