"""Limits that processes share, at the server: one request each, and what its answer means."""

import threading
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote

from airside.sdk.emitting import settings as emit_settings
from airside.sdk.limiting.exceptions import LeaseLost, LimitError, LimitMissing, LimitUnavailable

_CONNECT_SECONDS: Final = 5.0
_ANSWER_SECONDS: Final = 10.0


class Away(LimitUnavailable):
    """The server does not answer now, and may later."""


class QueueFull(LimitError):
    """So many wait already that the server takes no more. It is a matter of time."""


class Server:
    """The limits of one server. For any number of threads."""

    def __init__(self, url: str, token: str | None) -> None:
        import httpx  # noqa: PLC0415 - only who uses limits pays for it

        self.url, self.token = url, token
        self._httpx = httpx
        headers = {"User-Agent": "airside-sdk"} | ({"Authorization": f"Bearer {token}"} if token else {})
        self._http = httpx.Client(
            base_url=url, headers=headers, limits=httpx.Limits(max_connections=None, max_keepalive_connections=4)
        )

    def post(self, name: str, verb: str, body: Mapping[str, Any], wait: float = 0.0) -> Any:
        """Ask something of a limit. Raises Away, QueueFull, LimitMissing, LeaseLost, LimitError."""
        return self._send("POST", f"/api/limits/{quote(name, safe='')}/{verb}", body, wait)

    def names(self, prefix: str) -> frozenset[str]:
        """Give the names of the limits that begin so. Raises Away, LimitError."""
        found = self._send("GET", f"/api/limits?prefix={quote(prefix)}", None, 0.0)
        return frozenset(item["name"] for item in found["items"])

    def _send(self, method: str, path: str, body: Mapping[str, Any] | None, wait: float) -> Any:
        timeout = self._httpx.Timeout(_ANSWER_SECONDS + wait, connect=_CONNECT_SECONDS)
        try:
            answer = self._http.request(method, path, json=body, timeout=timeout)
            found = answer.json() if answer.content else {}
            document: dict[str, Any] = found if isinstance(found, dict) else {}
        except (self._httpx.HTTPError, ValueError) as error:
            raise Away(f"{self.url} does not answer: {type(error).__name__}") from error
        if answer.is_success:
            return document
        slug = str(document.get("type", "")).rpartition(":")[2]
        text = str(document.get("detail") or f"HTTP {answer.status_code}")
        if slug == "not-found" and method == "POST":
            raise LimitMissing(text)
        if slug == "lease-lost":
            raise LeaseLost(text)
        if slug == "queue-full":
            raise QueueFull(text)
        if answer.status_code >= 500 or answer.status_code == 429:
            raise Away(f"{self.url}: {text}")
        raise LimitError(text)


_made: dict[tuple[str, str | None], Server] = {}
_lock = threading.Lock()


def of_process() -> Server | None:
    """Give the server that the settings name; None when they name none. Raises LimitUnavailable for nats:// alone."""
    try:
        settings = emit_settings.load()
    except emit_settings.BadSettings as error:
        raise LimitUnavailable(str(error)) from error
    if not settings.url:
        return None
    if settings.speaks_nats:
        raise LimitUnavailable("limits are asked for by HTTP: set AIRSIDE_URL to http(s)://…")
    with _lock:
        key = (settings.url, settings.token)
        if key not in _made:
            _made[key] = Server(*key)
        return _made[key]


def forget() -> None:
    """Leave connections to the parent, in a forked child."""
    global _lock  # noqa: PLW0603
    _lock = threading.Lock()
    _made.clear()
