"""`prefect://host:4200/api`: follows the events of a Prefect server, `prefects://` by HTTPS.

Only that server knows the states of flow runs. It lists its events by the time at which they happened, and some come
late: a client sends again what it could not send, and the server itself writes with a delay. So each poll reads again
a little of what was read, and from time to time all of the last `late` (5m). What was seen is remembered; what
is seen again after a restart has the same id and counts once.
"""

import json
import time
from base64 import b64encode
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

import httpx

from airside.agent.watching import options
from airside.agent.watching.watcher import Cursor, Polled, WatchError, WatchOptions, WatchRefused
from airside.events import foreign, prefect, wire
from airside.events.exceptions import InvalidEvent

#: Prefect gives no more in one page.
PAGE_EVENTS: Final = 50
#: Pages in one poll; then what was found is handed over, and the next poll goes on.
PAGES: Final = 20
#: How far each poll reads back: Prefect writes events in groups, a few seconds late.
OVERLAP_SECONDS: Final = 15.0
#: How often what may have come later still is looked for.
SWEEP_SECONDS: Final = 60.0
#: Ids of what was handed over already; more would be sent again, and count once there.
MAX_SEEN: Final = 50_000
MAX_ANSWER_BYTES: Final = 128 * 2**20  # fifty of the largest events that Prefect takes
_OPTIONS: Final = ("since", "late")
_TIMEOUT: Final = httpx.Timeout(30.0, connect=5.0)
_FUTURE: Final = timedelta(days=1)


class PrefectWatcher:
    """Follows one Prefect server. `clock` gives seconds that only grow."""

    def __init__(
        self,
        name: str,
        api: "Api",
        source: str,
        *,
        since_seconds: float = 86_400.0,
        late_seconds: float = 300.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name = name
        self._api = api
        self._source = source
        self._since_seconds = since_seconds
        self._late_seconds = max(late_seconds, OVERLAP_SECONDS)
        self._clock = clock
        self._swept: float | None = None
        self._seen: OrderedDict[str, None] = OrderedDict()
        self._reading: tuple[str, str | None] | None = None

    async def poll(self, cursor: Cursor) -> Polled:
        """Read up to `PAGES` pages, the oldest events first. Raises WatchError, WatchRefused.

        The cursor holds the newest time of which all is handed over: `reached`.
        """
        reached = _moment(cursor.get("reached")) or datetime.now(UTC) - timedelta(seconds=self._since_seconds)
        after, token = self._reading or (self._begin(reached).isoformat(), None)
        found: dict[str, dict[str, Any]] = {}
        try:
            for _ in range(PAGES):
                rows, token = await self._api.page(after, token)
                found |= {event["id"]: event for row in rows for event in self._read(row)}
                reached = max([reached, *(moment for row in rows if (moment := _certain(row)))])
                if token is None:
                    break
        except WatchError:
            self._reading = self._swept = None  # what these pages held was not handed over
            raise
        self._reading = (after, token) if token else None
        fresh = [event for event_id, event in found.items() if event_id not in self._seen]
        self._remember(found)
        return Polled(fresh, {"reached": reached.isoformat()}, more=token is not None)

    async def close(self) -> None:
        """Close the connection."""
        await self._api.close()

    def _begin(self, reached: datetime) -> datetime:
        """Choose how far back to read, after a start as far as is ever read back."""
        now = self._clock()
        if self._swept is None or now - self._swept >= SWEEP_SECONDS:
            self._swept = now
            return reached - timedelta(seconds=self._late_seconds)
        return reached - timedelta(seconds=OVERLAP_SECONDS)

    def _read(self, row: Any) -> list[dict[str, Any]]:
        try:
            return [wire.as_sent(event) for event in prefect.parse(row, self._source)]
        except InvalidEvent as error:
            return [prefect.refused(json.dumps(row, sort_keys=True), error, self._source)]

    def _remember(self, ids: Iterable[str]) -> None:
        for event_id in ids:
            self._seen[event_id] = None
            self._seen.move_to_end(event_id)
        while len(self._seen) > MAX_SEEN:
            self._seen.popitem(last=False)


class Api:
    """Prefect's API, as far as it lists events."""

    def __init__(self, url: str, asked: WatchOptions, transport: httpx.AsyncBaseTransport | None = None) -> None:
        headers = {"user-agent": "airside-watch"}
        if asked.token:
            headers["authorization"] = f"Bearer {asked.token}"
        elif asked.user:
            pair = f"{asked.user}:{asked.password or ''}"
            headers["authorization"] = f"Basic {b64encode(pair.encode()).decode()}"
        self._shown = url
        self._http = httpx.AsyncClient(
            base_url=url, headers=headers, timeout=_TIMEOUT, transport=transport, follow_redirects=False
        )

    async def page(self, since: str, token: str | None) -> tuple[list[Any], str | None]:
        """Read one page: its events, oldest first, and the token of the next. Raises WatchError, WatchRefused."""
        if token is None:
            until = (datetime.now(UTC) + _FUTURE).isoformat()
            asked = {"filter": {"occurred": {"since": since, "until": until}, "order": "ASC"}, "limit": PAGE_EVENTS}
            document = await self._ask("POST", "/events/filter", json=asked)
        else:
            document = await self._ask("GET", "/events/filter/next", params={"page-token": token})
        rows = document.get("events")
        if not isinstance(rows, list):
            raise WatchRefused(f"{self._shown} lists no events: this is no API of Prefect 3")
        return rows, _next(document.get("next_page"))

    async def close(self) -> None:
        """Close the connection."""
        await self._http.aclose()

    async def _ask(self, method: str, path: str, **more: Any) -> Mapping[str, Any]:
        body = bytearray()
        try:
            async with self._http.stream(method, path, **more) as response:
                async for chunk in response.aiter_bytes():
                    body += chunk
                    if len(body) > MAX_ANSWER_BYTES:
                        raise WatchError(f"{self._shown}{path} answered more than {MAX_ANSWER_BYTES:,} bytes")
        except httpx.TimeoutException as error:
            raise WatchError(f"{self._shown} does not answer in time") from error
        except httpx.HTTPError as error:
            raise WatchError(f"{self._shown} cannot be reached: {type(error).__name__}") from error
        self._check(response.status_code, path)
        try:
            document = json.loads(body)
        except (ValueError, RecursionError) as error:
            raise WatchRefused(f"{self._shown}{path} answered no JSON: this is no API of Prefect 3") from error
        return document if isinstance(document, dict) else {}

    def _check(self, status: int, path: str) -> None:
        if 200 <= status < 300:
            return
        if status in (401, 403) and path != "/events/filter/next":
            hint = "give --user and AIRSIDE_WATCH_PASSWORD for its auth string, or AIRSIDE_WATCH_TOKEN for an API key"
            raise WatchRefused(f"{self._shown} does not let us in ({status}): {hint}")
        if status in (401, 403, 408, 429) or status >= 500:  # of a next page: its token is not taken any more
            raise WatchError(f"{self._shown}{path} answered {status}")
        raise WatchRefused(f"{self._shown}{path} answered {status}; this needs the API of Prefect 3")


def open_watcher(url: str, asked: WatchOptions, transport: httpx.AsyncBaseTransport | None = None) -> PrefectWatcher:
    """Read the URL: `since` is how far the first poll looks back, `late` how late events may come.

    Raises WatchRefused.
    """
    split = urlsplit(url)
    try:
        port = split.port
    except ValueError as error:
        raise WatchRefused("the port of the URL is no number") from error
    if not split.hostname:
        raise WatchRefused("the URL names no host: write prefect://host:4200")
    if "@" in split.netloc:
        raise WatchRefused("leave user and password out of the URL: give --user and AIRSIDE_WATCH_PASSWORD")
    host = f"[{split.hostname}]" if ":" in split.hostname else split.hostname
    place = f"{host}{f':{port}' if port else ''}"
    path = split.path.rstrip("/") or "/api"
    given = options.read(split.query, _OPTIONS, f"{split.scheme}://{place}{path}")
    scheme = "https" if split.scheme == "prefects" else "http"
    return PrefectWatcher(
        f"{split.scheme}://{place}{path}",
        Api(f"{scheme}://{place}{path}", asked, transport),
        f"prefect://{place}",
        since_seconds=options.seconds(given.get("since", "1d"), "since"),
        late_seconds=options.seconds(given.get("late", "5m"), "late"),
    )


def _certain(row: Any) -> datetime | None:
    """Give the time up to which this event tells that others were read: a clock that is ahead must not skip any."""
    if not isinstance(row, dict):
        return None
    occurred, received = _moment(row.get("occurred")), _moment(row.get("received"))
    return min(occurred, received) if occurred and received else None


def _moment(value: object) -> datetime | None:
    return foreign.moment(value)


def _next(link: object) -> str | None:
    """Take the token out of the link to the next page; where the link leads to is not ours to follow."""
    tokens = parse_qs(urlsplit(link).query).get("page-token") if isinstance(link, str) else None
    return tokens[0] if tokens else None
