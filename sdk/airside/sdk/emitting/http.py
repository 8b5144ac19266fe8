"""Events by HTTP: `POST /api/events`, answered once they are on disk."""

import encodings.idna  # noqa: F401 - else the first look-up imports it, perhaps in the middle of a fork
import logging
import threading
from collections.abc import Mapping, Sequence
from typing import Any, Final

import httpx

from airside.sdk.emitting.settings import EmitSettings
from airside.sdk.emitting.transport import Away, Delivered, Outcome, Rejected

CONNECT_SECONDS: Final = 1.0
ANSWER_SECONDS: Final = 5.0
_PROBLEM: Final = "urn:airside:problem:"
_NOT_OURS: Final = "what answers there is not Airside"


class HttpTransport:
    """One kept connection. TLS is verified; proxies come from the environment."""

    def __init__(self, settings: EmitSettings) -> None:
        headers = {"User-Agent": "airside-sdk", "Content-Type": "application/json"}
        if settings.token:
            headers["Authorization"] = f"Bearer {settings.token}"
        self._url = f"{settings.url}/api/events"
        timeout = httpx.Timeout(ANSWER_SECONDS, connect=CONNECT_SECONDS)
        self._http = httpx.Client(headers=headers, timeout=timeout, limits=httpx.Limits(max_connections=1))
        _keep_out_of_the_users_log()

    def send(self, lines: Sequence[bytes]) -> Outcome:
        """Send events as one list. Never raises."""
        body = b"[" + b",".join(lines) + b"]"
        try:
            response = self._http.post(self._url, content=body)
        except httpx.TimeoutException:
            return Away("it does not answer in time")
        except Exception as error:  # noqa: BLE001 - whatever fails here must not end the thread
            return Away(f"the connection failed: {type(error).__name__}: {error}"[:300])
        return _read(response, len(lines))

    def rest(self) -> None:
        """Keep the connection; idle ones end by themselves."""

    def close(self) -> None:
        """Close the connection."""
        self._http.close()


def _read(response: httpx.Response, count: int) -> Outcome:
    status = response.status_code
    try:
        document: Any = response.json()
    except ValueError:
        document = None
    return read_answer(status, document if isinstance(document, Mapping) else {}, count, _retry_after(response))


def read_answer(status: int, document: Mapping[str, Any], count: int, retry_after_seconds: float = 0.0) -> Outcome:
    """Tell what an answer means for the events. Only Airside itself can refuse one for good."""
    if status in (200, 202) and isinstance(document.get("accepted"), int):
        duplicates = int(document.get("duplicates") or 0)
        if document["accepted"] + duplicates == count:
            return Delivered(duplicates)
        return Away(_NOT_OURS)
    reason = str(document.get("detail") or document.get("title") or f"HTTP {status}")[:500]
    is_ours = str(document.get("type", "")).startswith(_PROBLEM)
    if status == 413 or (is_ours and status in (400, 415, 422)):
        return Rejected(reason, status, _by_index(document.get("problems")))
    if status in (401, 403):
        return Away(f"it does not accept the token (AIRSIDE_TOKEN): {reason}" if is_ours else f"HTTP {status}")
    if is_ours or status == 429 or status >= 500:
        return Away(reason, retry_after_seconds)
    return Away(f"{_NOT_OURS} (HTTP {status}); set AIRSIDE_URL to where Airside is")


def _by_index(problems: Any) -> dict[int, str]:
    """Sort what is wrong by event: in a list, fields begin with the event's index."""
    found: dict[int, str] = {}
    for problem in problems if isinstance(problems, list) else ():
        if isinstance(problem, Mapping):
            index, _, field = str(problem.get("field", "")).partition(".")
            if index.isdecimal():
                text = f"{field}: {problem.get('message', '')}".removeprefix(": ")
                found[int(index)] = f"{found[int(index)]}; {text}" if int(index) in found else text
    return found


def _retry_after(response: httpx.Response) -> float:
    try:
        return max(float(response.headers.get("retry-after", 0)), 0.0)
    except ValueError:
        return 0.0


def _keep_out_of_the_users_log() -> None:
    """Drop httpx's line for each request where the request is ours."""
    ours = threading.get_ident()
    logging.getLogger("httpx").addFilter(lambda record: record.thread != ours)
