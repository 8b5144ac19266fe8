"""Somebody to call: a receiver of webhooks on loopback that checks each signature, as a receiver should."""

import hmac
import json
import threading
from base64 import b64decode, b64encode
from dataclasses import dataclass
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Final, Self

_MAX_BODY_BYTES: Final = 1_048_576


@dataclass(frozen=True, slots=True)
class Delivery:
    """One webhook that came in; `genuine` tells whether its signature is by the shared secret."""

    id: str
    genuine: bool
    body: Any


class Receiver:
    """Listens on a free port of 127.0.0.1 for as long as the block lasts. `secret` is a `whsec_…` key."""

    def __init__(self, secret: str) -> None:
        self._key = b64decode(secret.removeprefix("whsec_"))
        self._deliveries: list[Delivery] = []
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    @property
    def address(self) -> str:
        """Where it listens, as host:port."""
        host, port = self._server.server_address[:2]
        return f"{host!s}:{port}"

    @property
    def url(self) -> str:
        """Where to send to."""
        return f"http://{self.address}/oncall"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def find(self, identifier: str) -> Delivery | None:
        """Give the delivery of this id, if it came."""
        with self._lock:
            return next((delivery for delivery in self._deliveries if delivery.id == identifier), None)

    def _take(self, headers: Any, body: bytes) -> None:
        identifier = str(headers.get("webhook-id", ""))
        signed = f"{identifier}.{headers.get('webhook-timestamp', '')}.".encode() + body
        expected = "v1," + b64encode(hmac.new(self._key, signed, sha256).digest()).decode()
        given = str(headers.get("webhook-signature", "")).split()
        genuine = any(hmac.compare_digest(expected, signature) for signature in given)
        with self._lock:
            self._deliveries.append(Delivery(identifier, genuine, json.loads(body)))

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                length = min(int(self.headers.get("content-length", 0)), _MAX_BODY_BYTES)
                receiver._take(self.headers, self.rfile.read(length))
                self.send_response(204)
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class calls it so
                """Say nothing: the demo tells what came."""

        return Handler
