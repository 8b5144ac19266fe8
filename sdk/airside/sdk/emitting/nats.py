"""Events by NATS: requests on `airside.in.<workspace>`, answered as HTTP answers, once the events are on disk."""

import asyncio
import encodings.idna  # noqa: F401 - else the first look-up imports it, perhaps in the middle of a fork
import json
import socket
from collections.abc import Mapping, Sequence
from typing import Any, Final

from nats.aio.client import Client
from nats.errors import Error, NoRespondersError, NoServersError
from nats.errors import TimeoutError as NatsTimeout

from airside.sdk.emitting.http import read_answer
from airside.sdk.emitting.settings import EmitSettings
from airside.sdk.emitting.transport import Away, Outcome

SUBJECT: Final = "airside.in"
CONNECT_SECONDS: Final = 2.0
ANSWER_SECONDS: Final = 5.0
_HEADERS: Final = {"content-type": "application/json"}


class NatsTransport:
    """A connection for as long as there is something to send: nobody answers the server's pings in between."""

    def __init__(self, settings: EmitSettings) -> None:
        self._servers = [_nats_url(part) for part in settings.url.split(",")]
        self._token = settings.token
        self._subject = f"{SUBJECT}.{settings.workspace}"
        self._runner = asyncio.Runner(loop_factory=_Loop)
        self._client: Client | None = None
        self._trouble: Exception | None = None

    def send(self, lines: Sequence[bytes]) -> Outcome:
        """Send events as one list. Never raises."""
        try:
            return self._runner.run(self._send(b"[" + b",".join(lines) + b"]", len(lines)))
        except NoRespondersError:
            return Away(f"no coordinator listens on {self._subject}")
        except (NatsTimeout, TimeoutError):
            outcome = Away("it does not answer in time")
        except Exception as error:  # noqa: BLE001 - whatever fails here must not end the thread
            outcome = Away(f"the connection failed: {type(error).__name__}: {error}"[:300])
        self.rest()
        return outcome

    def rest(self) -> None:
        """Close the connection until there is something to send."""
        client, self._client = self._client, None
        if client is not None:
            try:
                self._runner.run(asyncio.wait_for(client.close(), CONNECT_SECONDS))
            except Exception:  # noqa: BLE001, S110 - it is gone then
                pass

    def close(self) -> None:
        """Close the connection and the loop."""
        self.rest()
        self._runner.close()

    async def _send(self, body: bytes, count: int) -> Outcome:
        if self._client is None:
            self._client = await self._connect()
        reply = await self._client.request(self._subject, body, timeout=ANSWER_SECONDS, headers=dict(_HEADERS))
        try:
            document: Any = json.loads(reply.data)
        except ValueError:
            document = None
        if not isinstance(document, Mapping):
            return Away("what answers there is not Airside")
        return read_answer(int(document.get("status") or 202), document, count)

    async def _connect(self) -> Client:
        client = Client()
        options: dict[str, Any] = {"token": self._token} if self._token else {}
        options |= {"name": "airside-sdk", "error_cb": self._note, "connect_timeout": 1, "allow_reconnect": False}
        options |= {"reconnect_time_wait": 0, "max_reconnect_attempts": 1}  # also those of the first connection
        try:
            await asyncio.wait_for(client.connect(self._servers, **options), CONNECT_SECONDS)
        except NoServersError as error:
            await client.close()
            raise self._trouble or error from error
        except (TimeoutError, OSError, Error):
            await client.close()
            raise
        return client

    async def _note(self, error: Exception) -> None:
        """Keep what failed, away from the user's log, where nats-py would write it."""
        self._trouble = error


class _Loop(asyncio.SelectorEventLoop):
    """A loop that looks names up in its own thread: at the end of a program there are no others to be had."""

    async def getaddrinfo(self, host: Any, port: Any, **options: Any) -> Any:
        return socket.getaddrinfo(host, port, **options)


def _nats_url(url: str) -> str:
    return url.strip().replace("natss://", "tls://", 1)
