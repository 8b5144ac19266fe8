"""Following a Prefect server: nothing is missed over pages, late events, failures and restarts."""

import json
import re
from base64 import b64decode, b64encode
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from airside.agent.watching import command, prefect, schemes
from airside.agent.watching.watcher import Cursor, WatchError, WatchOptions, WatchRefused

DATA = Path(__file__).parents[1] / "data" / "prefect" / "server_events_filter_response.json"
CAPTURED = json.loads(DATA.read_text())["events"]


class Lister:
    """Lists events as Prefect's server does: by time, in pages that begin at an offset."""

    def __init__(self, events: list[dict[str, Any]]) -> None:
        self.events = events
        self.asked: list[Any] = []
        self.authorization: list[str | None] = []
        self.status = 200
        routes = [
            Route("/api/events/filter", self._first, methods=["POST"]),
            Route("/api/events/filter/next", self._next, methods=["GET"]),
        ]
        self.transport = httpx.ASGITransport(app=Starlette(routes=routes))

    async def _first(self, request: Request) -> Response:
        body = await request.json()
        assert body["filter"]["order"] == "ASC"
        self.asked.append(body["filter"]["occurred"]["since"])
        self.authorization.append(request.headers.get("authorization"))
        matching = self._matching(body["filter"]["occurred"]["since"])
        return self._page(body["filter"]["occurred"]["since"], 0, body["limit"], len(matching))

    async def _next(self, request: Request) -> Response:
        since, offset, size, count = json.loads(b64decode(request.query_params["page-token"]))
        return self._page(since, offset, size, count)

    def _matching(self, since: str) -> list[dict[str, Any]]:
        begin = datetime.fromisoformat(since)
        found = [event for event in self.events if datetime.fromisoformat(event["occurred"]) >= begin]
        return sorted(found, key=lambda event: event["occurred"])

    def _page(self, since: str, offset: int, size: int, count: int) -> Response:
        if self.status != 200:
            return JSONResponse({"detail": "no"}, self.status)
        token = b64encode(json.dumps([since, offset + size, size, count]).encode()).decode()
        link = f"http://elsewhere.example/api/events/filter/next?page-token={token}"
        rows = self._matching(since)[offset : offset + size]
        return JSONResponse({"events": rows, "total": count, "next_page": link if offset + size < count else None})


def landed(number: int, at: datetime, received: datetime | None = None) -> dict[str, Any]:
    return {
        "id": f"e{number}",
        "event": "orders.landed",
        "occurred": at.isoformat(),
        "received": (received or at).isoformat(),
        "resource": {"prefect.resource.id": "lake.orders"},
        "related": [],
        "payload": {},
        "follows": None,
    }


def watcher(lister: Lister, **options: Any) -> prefect.PrefectWatcher:
    api = prefect.Api("http://127.0.0.1:4200/api", WatchOptions(), lister.transport)
    return prefect.PrefectWatcher("prefect://127.0.0.1:4200/api", api, "prefect://127.0.0.1:4200", **options)


async def take(watching: prefect.PrefectWatcher, cursor: Cursor) -> tuple[list[str], Cursor]:
    """Poll until there is no more."""
    found: list[str] = []
    while True:
        polled = await watching.poll(cursor)
        found += [event["id"] for event in polled.events]
        cursor = polled.cursor
        if not polled.more:
            return found, cursor


NOW = datetime.now(UTC)


async def test_what_a_real_server_listed_becomes_events() -> None:
    lister = Lister(CAPTURED)
    found, cursor = await take(watcher(lister), {"reached": "2026-11-22T06:00:00+00:00"})
    assert {f"prefect:{event['id']}" for event in CAPTURED} <= set(found)
    assert cursor == {"reached": "2026-11-22T06:14:19.057392+00:00"}


async def test_thousands_are_read_in_pages_once_each_and_in_order() -> None:
    count = prefect.PAGE_EVENTS * prefect.PAGES * 2 + 7
    lister = Lister([landed(number, NOW - timedelta(hours=1) + timedelta(seconds=number)) for number in range(count)])
    watching = watcher(lister)
    found, cursor = await take(watching, {})
    assert found == [f"prefect:e{number}" for number in range(count)]
    assert (await take(watching, cursor))[0] == []


async def test_events_of_one_moment_fill_any_number_of_pages() -> None:
    lister = Lister([landed(number, NOW) for number in range(2_500)])
    found, _ = await take(watcher(lister), {})
    assert len(set(found)) == 2_500


async def test_a_restart_misses_nothing_that_came_late() -> None:
    lister = Lister([landed(number, NOW - timedelta(minutes=10 - number)) for number in range(10)])
    first, cursor = await take(watcher(lister), {})
    lister.events.append(landed(99, NOW - timedelta(minutes=5), NOW))  # happened before what was read last
    second, _ = await take(watcher(lister), cursor)
    assert "prefect:e99" not in first
    assert "prefect:e99" in second


async def test_what_comes_late_is_found_by_the_next_sweep_and_only_once() -> None:
    time = [0.0]
    lister = Lister([landed(1, NOW)])
    watching = watcher(lister, clock=lambda: time[0])
    _, cursor = await take(watching, {})
    lister.events += [landed(2, NOW - timedelta(seconds=5)), landed(3, NOW - timedelta(minutes=4))]
    assert (await take(watching, cursor))[0] == ["prefect:e2"]
    time[0] = prefect.SWEEP_SECONDS
    assert (await take(watching, cursor))[0] == ["prefect:e3"]


async def test_a_clock_that_is_ahead_hides_no_later_events() -> None:
    lister = Lister([landed(1, NOW + timedelta(hours=5), NOW)])
    watching = watcher(lister)
    _, cursor = await take(watching, {})
    lister.events.append(landed(2, NOW + timedelta(seconds=1)))
    assert (await take(watching, cursor))[0] == ["prefect:e2"]


async def test_what_a_failed_poll_had_read_already_is_read_again() -> None:
    lister = Lister([landed(number, NOW) for number in range(60)])
    watching = watcher(lister)
    whole = lister._page

    def fails_behind_the_first(since: str, offset: int, size: int, count: int) -> Response:
        lister.status = 500 if offset else 200
        return whole(since, offset, size, count)

    lister._page = fails_behind_the_first  # type: ignore[method-assign]
    with pytest.raises(WatchError):
        await watching.poll({})
    lister._page = whole  # type: ignore[method-assign]
    lister.status = 200
    assert len((await take(watching, {}))[0]) == 60


async def test_what_is_no_event_is_told_as_such() -> None:
    lister = Lister([landed(1, NOW), landed(2, NOW) | {"event": ""}])
    polled = await watcher(lister).poll({})
    assert sorted(event["type"] for event in polled.events) == ["event.refused", "orders.landed"]


@pytest.mark.parametrize(("status", "kind"), [(401, WatchRefused), (404, WatchRefused), (503, WatchError)])
async def test_it_says_whether_trying_again_can_help(status: int, kind: type[Exception]) -> None:
    lister = Lister([])
    lister.status = status
    with pytest.raises(kind) as raised:
        await watcher(lister).poll({})
    assert type(raised.value) is kind


async def test_the_auth_string_and_the_api_key_come_from_the_environment_alone() -> None:
    lister = Lister([])
    for asked in (WatchOptions("admin", "s3cret"), WatchOptions(token="pnu_key")):
        watching = prefect.open_watcher("prefect://127.0.0.1:4200", asked, lister.transport)
        await watching.poll({})
        assert "s3cret" not in watching.name
    assert lister.authorization == ["Basic " + b64encode(b"admin:s3cret").decode(), "Bearer pnu_key"]
    with pytest.raises(WatchRefused, match="AIRSIDE_WATCH_PASSWORD"):
        prefect.open_watcher("prefect://admin:s3cret@127.0.0.1:4200", WatchOptions())


@pytest.mark.parametrize("url", ["prefect://", "prefect://h:x", "prefect://h?all=1", "prefect://h?since=soon"])
def test_a_url_that_cannot_be_meant_is_refused(url: str) -> None:
    with pytest.raises(WatchRefused):
        schemes.open_watcher(url, WatchOptions())


async def test_the_page_s_urls_and_variables_are_those_of_the_command() -> None:
    page = (Path(__file__).parents[2] / "docs" / "prefect.md").read_text()
    [url] = re.findall(r"airside watch (prefect://\S+)", page)
    [since] = re.findall(r"`(\?since=\w+)`", page)
    [late] = re.findall(r"`(\?late=\w+)`", page)
    for each in (url, url + since, url + late):
        await schemes.open_watcher(each, WatchOptions()).close()
    assert {command.PASSWORD, command.TOKEN} == set(re.findall(r"AIRSIDE_WATCH_\w+", page))
