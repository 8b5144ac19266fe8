"""What a flow's process asks the plane by HTTP: changes of its runs, and what became of them."""

import json
import logging
import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from airside.events.run_states import State as Kind
from airside.sdk.emitting.settings import EmitSettings

if TYPE_CHECKING:
    import httpx

CONNECT_SECONDS: Final = 1.0
ANSWER_SECONDS: Final = 5.0


@dataclass(frozen=True, slots=True)
class Present:
    """A run as the plane knows it: its state, the number of its last change, and the event that tells of it.

    `state` is None for a run the plane has not heard of; `cancel` says that somebody wants it to end.
    """

    state: Kind | None
    seq: int
    event: Mapping[str, Any]
    cancel: bool = False

    @property
    def event_id(self) -> str:
        """The id of the event that tells of the last change."""
        return str(self.event.get("id", ""))

    @property
    def payload(self) -> Mapping[str, Any]:
        """What the last change says."""
        found = self.event.get("payload")
        return found if isinstance(found, Mapping) else {}


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of a proposal. `refused` says why the plane would not have it whatever the run's state."""

    accepted: bool
    present: Present | None = None
    refused: str = ""


class Away(Exception):
    """The plane does not answer, or something else answers in its place."""


class Plane:
    """One server, from any thread; connections are not shared with forked children."""

    def __init__(self, settings: EmitSettings) -> None:
        self._url = settings.url
        self._token = settings.token
        self._lock = threading.Lock()
        self._client: httpx.Client | None = None
        self._process = 0

    def propose(self, run: str, body: Mapping[str, Any]) -> Answer:
        """Propose a change. Raises Away."""
        status, document = self._ask("POST", f"{_path(run)}/states", ANSWER_SECONDS, body)
        if status == 200:
            return Answer(True)
        if status == 409 and "seq" in document:
            return Answer(False, _present(document))
        if status in (400, 401, 403, 404, 413, 415, 422):
            return Answer(False, None, str(document.get("detail") or f"HTTP {status}")[:500])
        raise Away(str(document.get("detail") or f"HTTP {status}"))

    def state(self, run: str, *, after: int, wait_seconds: float) -> Present:
        """Give the run's last change, waiting for one that is not number `after`. Raises Away."""
        path = f"{_path(run)}/state?after={after}&wait={wait_seconds:.3f}"
        status, document = self._ask("GET", path, wait_seconds + ANSWER_SECONDS)
        if status == 200 and "seq" in document:
            return _present(document)
        if status == 404:
            return Present(None, 0, {})
        raise Away(str(document.get("detail") or f"HTTP {status}"))

    def _ask(
        self, method: str, path: str, seconds: float, body: Mapping[str, Any] | None = None
    ) -> tuple[int, Mapping[str, Any]]:
        content = None if body is None else json.dumps(body, ensure_ascii=False, default=str).encode()
        try:
            import httpx  # noqa: PLC0415 - a flow without a server does without

            timeout = httpx.Timeout(seconds, connect=CONNECT_SECONDS)
            headers = {"Content-Type": "application/json"} if content else {}
            response = self._http().request(
                method, f"{self._url}{path}", content=content, headers=headers, timeout=timeout
            )
            document = response.json()
        except Exception as error:  # whatever fails here must not end a flow
            raise Away(f"{type(error).__name__}: {error}"[:300]) from error
        return response.status_code, document if isinstance(document, Mapping) else {}

    def _http(self) -> "httpx.Client":
        with self._lock:
            if self._client is None or self._process != os.getpid():
                import httpx  # noqa: PLC0415

                headers = {"User-Agent": "airside-sdk"}
                if self._token:
                    headers["Authorization"] = f"Bearer {self._token}"
                self._client, self._process = httpx.Client(headers=headers), os.getpid()
                _keep_out_of_the_users_log(f"{self._url}/api/runs/")
            return self._client


def _path(run: str) -> str:
    return f"/api/runs/{quote(run, safe='')}"


def _present(document: Mapping[str, Any]) -> Present:
    word, event = document.get("state"), document.get("event")
    state = Kind(word) if word in set(Kind) else None
    seq = document.get("seq")
    return Present(
        state,
        seq if isinstance(seq, int) else 0,
        event if isinstance(event, Mapping) else {},
        cancel=document.get("cancel") is True,
    )


_quiet: set[str] = set()


def _keep_out_of_the_users_log(prefix: str) -> None:
    """Drop httpx's line for each request where the request is ours."""
    if prefix in _quiet:
        return
    _quiet.add(prefix)

    def is_not_ours(record: logging.LogRecord) -> bool:
        args = record.args
        return not (isinstance(args, tuple) and len(args) > 1 and str(args[1]).startswith(prefix))

    logging.getLogger("httpx").addFilter(is_not_ours)
