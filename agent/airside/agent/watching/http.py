"""Whether an address answers as it should: `https://shop.example/health#expect=$.status==ok`."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit, urlunsplit

import httpx

from airside.agent.watching import comparing, making, options, telling
from airside.agent.watching.comparing import BodyExpectation
from airside.agent.watching.watcher import Cursor, Polled, WatchOptions, WatchRefused
from airside.events import datasets, masking

_OPTIONS: Final = ("status", "expect", "timeout", "repeat")
_TIMEOUT_SECONDS: Final = 10.0
_MAX_BODY_BYTES: Final = 1_048_576


@dataclass(frozen=True, slots=True)
class Answer:
    """What one request came to; `problem` is "" when all is as expected."""

    status: int | None
    latency_seconds: float
    problem: str


class HttpWatcher:
    """Asks one address. Certificates are verified, redirects not followed: what was named must answer."""

    def __init__(
        self,
        url: str,
        asked: WatchOptions,
        *,
        status: int | None,
        expected: BodyExpectation | None,
        timeout_seconds: float,
        repeat_seconds: float,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._url = url
        self._status = status
        self._expected = expected
        self._timeout_seconds = timeout_seconds
        self._repeat_seconds = repeat_seconds
        self._clock = clock
        headers = {"user-agent": "airside-watch"}
        if asked.token:
            headers["authorization"] = f"Bearer {asked.token}"
        login = (asked.user, asked.password or "") if asked.user else None
        self._client = httpx.AsyncClient(
            headers=headers, auth=login, timeout=timeout_seconds, follow_redirects=False, trust_env=False
        )

    @property
    def resource(self) -> str:
        """Give the id of what is checked: the address without its query, which may hold a secret."""
        parts = urlsplit(self._url)
        bare = datasets.safe(urlunsplit((parts.scheme, parts.netloc, parts.path, "", "")))
        return f"{bare}~{datasets.digest(parts.query)[:8]}" if parts.query else bare

    @property
    def name(self) -> str:
        """Name what is watched."""
        return f"{self.resource}#{self._expected}" if self._expected else self.resource

    async def poll(self, cursor: Cursor) -> Polled:
        """Ask once. An address that does not answer is a check that failed, not a poll that did."""
        if "born" not in cursor:
            return Polled([], telling.begin(), more=True)
        answer = await self._ask()
        passed = not answer.problem
        event_id, after = telling.step(cursor, passed=passed, now=self._clock(), repeat_seconds=self._repeat_seconds)
        if not event_id:
            return Polled([], after)
        payload = {
            "check": self._expects(),
            "status": answer.status,
            "latency_ms": round(answer.latency_seconds * 1_000, 1),
            "reason": answer.problem or None,
        }
        resource = {"id": self.resource, "kind": "endpoint"}
        return Polled([making.event(telling.event_type(passed=passed), event_id, resource, payload)], after)

    async def close(self) -> None:
        """Close the connection."""
        await self._client.aclose()

    def _expects(self) -> str:
        status = f"status {self._status}" if self._status else "status 2xx"
        return f"{status}, {self._expected}" if self._expected else status

    async def _ask(self) -> Answer:
        began = time.monotonic()
        status: int | None = None
        try:
            async with self._client.stream("GET", self._url) as response:
                status = response.status_code
                body = b""
                async for chunk in response.aiter_bytes():
                    body += chunk
                    if len(body) > _MAX_BODY_BYTES or time.monotonic() - began > self._timeout_seconds:
                        break
        except httpx.TimeoutException:
            problem = f"no answer in {self._timeout_seconds:g} s"
        except httpx.HTTPError as error:
            problem = masking.text(f"{type(error).__name__}: {error}")[:300]
        else:
            problem = self._problem(status, body, time.monotonic() - began)
        return Answer(status, time.monotonic() - began, problem)

    def _problem(self, status: int, body: bytes, seconds: float) -> str:
        if seconds > self._timeout_seconds:
            return f"no whole answer in {self._timeout_seconds:g} s"
        if (status != self._status) if self._status else not 200 <= status < 300:
            hint = ": redirects are not followed" if 300 <= status < 400 else ""
            return f"it answered {status}{hint}"
        if self._expected is None:
            return ""
        if len(body) > _MAX_BODY_BYTES:
            return f"the body is larger than {_MAX_BODY_BYTES:,} bytes"
        return self._expected.problem(body)


def open_watcher(url: str, asked: WatchOptions) -> HttpWatcher:
    """Make the watcher of an address; options stand after `#`, for `?` is the address's own. Raises WatchRefused."""
    address, _, given = url.partition("#")
    parts = urlsplit(address)
    if "@" in parts.netloc:
        raise WatchRefused("no credentials in a URL: use --user and AIRSIDE_WATCH_PASSWORD, or AIRSIDE_WATCH_TOKEN")
    if not parts.hostname:
        raise WatchRefused(f"{address}: there is no host")
    found = options.read(given, _OPTIONS, f"{parts.scheme}://{parts.netloc}{parts.path}")
    status = found.get("status")
    if status is not None and not (status.isdecimal() and 100 <= int(status) <= 599):
        raise WatchRefused(f"status: `{status}` must be a number of three digits, as 200")
    return HttpWatcher(
        address,
        asked,
        status=int(status) if status else None,
        expected=comparing.body_expectation(found["expect"], "expect") if "expect" in found else None,
        timeout_seconds=options.seconds(found["timeout"], "timeout") if "timeout" in found else _TIMEOUT_SECONDS,
        repeat_seconds=options.seconds(found["repeat"], "repeat") if "repeat" in found else telling.REPEAT_SECONDS,
    )
