"""The HTTP API as a Python object: plain dicts out, typed errors when it does not work."""

import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from email.utils import parsedate_to_datetime
from types import TracebackType
from typing import Any, Final, Self, TypeAlias
from urllib.parse import quote

import httpx

from airside.sdk import settings as sdk_settings
from airside.sdk.exceptions import CannotReach, NotFound, Refused, ServerFailed, Unauthorised

CONNECT_TIMEOUT_SECONDS: Final = 5.0
ANSWER_TIMEOUT_SECONDS: Final = 60.0
#: A stream says something at least every 15 seconds; twice that, and the connection is dead.
STREAM_TIMEOUT_SECONDS: Final = 40.0
#: Between attempts to take up a lost stream again: twice as long each time, up to the longest.
FIRST_PAUSE_SECONDS: Final = 0.5
MAX_PAUSE_SECONDS: Final = 10.0

Json: TypeAlias = dict[str, Any]
Parameters: TypeAlias = Mapping[str, str | int | list[str] | None]


class Client:
    """One server and one token. Use it as a context manager; it is not for several threads at once."""

    def __init__(
        self,
        settings: sdk_settings.ClientSettings | None = None,
        *,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        settings = settings or sdk_settings.load()
        headers = {"User-Agent": "airside"}
        if settings.token is not None:
            headers["Authorization"] = f"Bearer {settings.token.get_secret_value()}"
        self.url = settings.url
        self._http = httpx.Client(
            base_url=settings.url,
            headers=headers,
            timeout=httpx.Timeout(ANSWER_TIMEOUT_SECONDS, connect=CONNECT_TIMEOUT_SECONDS),
            transport=transport,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()

    def get(self, path: str, parameters: Parameters | None = None) -> Any:
        """Get a resource of the API, decoded. Raises a ClientError."""
        return self.request("GET", path, parameters=parameters)

    def request(
        self,
        method: str,
        path: str,
        *,
        parameters: Parameters | None = None,
        body: object = None,
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        timeout_seconds: float = ANSWER_TIMEOUT_SECONDS,
    ) -> Any:
        """Make one request and decode its answer; None for an empty one. Raises a ClientError.

        Send `body` as JSON, or `content` as it stands with a Content-Type among the `headers`.
        """
        headers = dict(headers or {})
        if body is not None:
            content = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
            headers.setdefault("Content-Type", "application/json")
        with self._errors():
            response = self._http.request(
                method,
                path,
                params=_parameters(parameters),
                content=content,
                headers=headers,
                timeout=httpx.Timeout(timeout_seconds, connect=CONNECT_TIMEOUT_SECONDS),
            )
        self._check(response)
        try:
            return response.json() if response.content else None
        except ValueError as error:
            text = f"what answers at {self.url} is not Airside; set AIRSIDE_URL to where Airside is"
            raise CannotReach(text, status=response.status_code) from error

    def server_time(self) -> datetime | None:
        """Ask whether the server is up, and give its clock to the second; None if it does not tell."""
        with self._errors():
            response = self._http.get("/health")
        self._check(response)
        try:
            return parsedate_to_datetime(response.headers["date"])
        except (KeyError, ValueError):
            return None

    def items(self, path: str, parameters: Parameters | None = None, *, limit: int | None = None) -> Iterator[Json]:
        """Give the items of a list, page after page, at most `limit`. Raises a ClientError."""
        query = dict(parameters or {})
        left = limit
        while left is None or left > 0:
            page = self.get(path, query | {"limit": min(left, 1_000) if left is not None else 1_000})
            yield from page["items"][:left]
            left = None if left is None else left - len(page["items"])
            if not page.get("next"):
                return
            query["cursor"] = page["next"]

    @contextmanager
    def stream(
        self, path: str, parameters: Parameters | None = None, headers: Mapping[str, str] | None = None
    ) -> Iterator[Iterator[str]]:
        """Open an answer that is read line by line as it comes. Raises a ClientError, also while reading."""
        timeout = httpx.Timeout(STREAM_TIMEOUT_SECONDS, connect=CONNECT_TIMEOUT_SECONDS)
        with (
            self._errors(),
            self._http.stream(
                "GET", path, params=_parameters(parameters), headers=dict(headers or {}), timeout=timeout
            ) as response,
        ):
            if response.is_error:
                response.read()
                self._check(response)
            yield response.iter_lines()

    @contextmanager
    def lines(
        self, path: str, parameters: Parameters | None = None, headers: Mapping[str, str] | None = None
    ) -> Iterator[tuple[str, Iterator[bytes]]]:
        """Open an answer of many lines: its media type, and the lines as they come, undecoded, without their ends.

        Raises a ClientError, also while reading.
        """
        timeout = httpx.Timeout(STREAM_TIMEOUT_SECONDS, connect=CONNECT_TIMEOUT_SECONDS)
        query = _parameters(parameters)
        with (
            self._errors(),
            self._http.stream("GET", path, params=query, headers=dict(headers or {}), timeout=timeout) as response,
        ):
            if response.is_error:
                response.read()
                self._check(response)
            yield response.headers.get("content-type", "").partition(";")[0], _lines(response.iter_bytes())

    def post_events(self, events: Iterable[Json]) -> Json:
        """Put events on the log, each once. Returns when they are on disk: {accepted, duplicates, first, last}."""
        result: Json = self.request("POST", "/api/events", body=list(events))
        return result

    def query(
        self,
        sql: str,
        parameters: list[Any] | None = None,
        *,
        limit: int | None = None,
        timeout_seconds: float | None = None,
    ) -> Json:
        """Run read-only SQL on the views: {columns, rows, truncated, position}."""
        body: Json = {"sql": sql}
        body |= {"parameters": parameters} if parameters else {}
        body |= {"limit": limit} if limit is not None else {}
        body |= {"timeout": timeout_seconds} if timeout_seconds is not None else {}
        result: Json = self.request("POST", "/api/query", body=body)
        return result

    def follow_events(
        self,
        parameters: Parameters | None = None,
        *,
        after: int | None = None,
        on_lost: Callable[[str], None] = lambda reason: None,
    ) -> Iterator[Json]:
        """Give events as they come, for ever; after a lost connection go on behind the last one seen.

        `after` is a log position; without it, what comes from now on. Raises a ClientError when the server
        cannot be reached from the start or refuses; a connection lost later is told to `on_lost`, once,
        and tried again for ever.
        """
        last = None if after is None else str(after)
        pause_seconds = FIRST_PAUSE_SECONDS
        connected = False
        while True:
            headers = {"Accept": "text/event-stream"} | ({"Last-Event-ID": last} if last else {})
            reason = "the server ended the stream"
            try:
                with self.stream("/api/events/stream", parameters, headers) as lines:
                    connected, pause_seconds = True, FIRST_PAUSE_SECONDS
                    for identifier, data in _server_sent(lines):
                        last = identifier or last
                        if data:
                            yield json.loads(data)
            except (CannotReach, ServerFailed) as error:
                if not connected:
                    raise
                reason = str(error)
            if pause_seconds == FIRST_PAUSE_SECONDS:
                on_lost(reason)
            time.sleep(pause_seconds)
            pause_seconds = min(pause_seconds * 2, MAX_PAUSE_SECONDS)

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except httpx.ConnectError as error:
            raise CannotReach(f"cannot reach Airside at {self.url}: {_reason(error)}") from error
        except httpx.TimeoutException as error:
            raise CannotReach(f"Airside at {self.url} does not answer in time") from error
        except (httpx.TransportError, httpx.InvalidURL) as error:
            raise CannotReach(f"the connection to Airside at {self.url} failed: {_reason(error)}") from error

    def _check(self, response: httpx.Response) -> None:
        """Raise what an answer that is an error means."""
        status = response.status_code
        if status < 400:
            if status >= 300:
                where = response.headers.get("location", "elsewhere")
                raise Refused(f"{self.url} sends us to {where}; set AIRSIDE_URL to where Airside is", status=status)
            return
        try:
            problem = response.json()
            detail = str(problem.get("detail") or problem.get("title"))
        except (ValueError, AttributeError):
            problem, detail = {}, f"HTTP {status} from {self.url}, and not as Airside answers"
        kind = {401: Unauthorised, 403: Unauthorised, 404: NotFound}.get(status)
        kind = kind or (ServerFailed if status >= 500 or status == 429 else Refused)
        problems = problem.get("problems")
        raise kind(detail, status=status, problems=problems if isinstance(problems, list) else [])


def path(*parts: str) -> str:
    """Join the parts of a path under /api, each escaped: ids hold slashes."""
    return "/".join(("/api", *(quote(part, safe="") for part in parts)))


def _lines(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Cut at line feeds, and nowhere else: texts in JSON may hold other characters that end lines elsewhere."""
    rest = b""
    for chunk in chunks:
        if b"\n" not in chunk:
            rest += chunk
            continue
        lines = (rest + chunk).split(b"\n")
        rest = lines.pop()
        yield from lines
    if rest:
        yield rest


def _parameters(parameters: Parameters | None) -> httpx.QueryParams:
    pairs: list[tuple[str, str | int | float | bool | None]] = []
    for name, value in (parameters or {}).items():
        values = value if isinstance(value, list) else [value]
        pairs += [(name, str(entry)) for entry in values if entry is not None]
    return httpx.QueryParams(pairs)


def _server_sent(lines: Iterator[str]) -> Iterator[tuple[str, str]]:
    """Put the lines of a text/event-stream together: for each message its id and its data."""
    identifier = ""
    data: list[str] = []
    for line in lines:
        field, _, value = line.partition(":")
        if not line:
            if data or identifier:
                yield identifier, "\n".join(data)
            identifier, data = "", []
        elif field == "id":
            identifier = value.removeprefix(" ")
        elif field == "data":
            data.append(value.removeprefix(" "))


def _reason(error: Exception) -> str:
    text = str(error)
    return "nothing listens there" if "refused" in text.lower() else text or type(error).__name__
