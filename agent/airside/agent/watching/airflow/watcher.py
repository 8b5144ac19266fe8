"""`airflow://host:port/?instance=prod`: follows an Airflow, `airflows://` by HTTPS."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

import httpx

from airside.agent.watching.airflow.feeds import FEEDS, page
from airside.agent.watching.airflow.rest import Rest
from airside.agent.watching.watcher import Cursor, Polled, WatchOptions, WatchRefused
from airside.events import wire

DEFAULT_INSTANCE: Final = "airflow"
DEFAULT_SINCE: Final = "1d"
#: Pages of one feed in one poll; then what was found is handed over, and the next poll goes on.
PAGES: Final = 10
_UNITS: Final = {"m": "minutes", "h": "hours", "d": "days"}


class AirflowWatcher:
    """Follows one Airflow: DAG runs, the log of task states, tasks that get no hook, assets, import errors."""

    def __init__(self, name: str, rest: Rest, instance: str, lookback: timedelta) -> None:
        self.name = name
        self._rest = rest
        self._instance = instance
        self._lookback = lookback

    async def poll(self, cursor: Cursor) -> Polled:
        """Read up to `PAGES` pages of each feed. Raises WatchError, WatchRefused."""
        found: list[wire.WireEvent] = []
        after: dict[str, Any] = {}
        more = False
        for feed in FEEDS:
            place = cursor.get(feed.name) or {"since": (datetime.now(UTC) - self._lookback).isoformat()}
            for _ in range(PAGES):
                events, place, goes_on = await page(feed, self._rest, self._instance, place)
                found += events
                if not goes_on:
                    break
            else:
                more = True
            after[feed.name] = place
        found.sort(key=lambda event: event.time)
        return Polled([wire.as_sent(event) for event in found], after, more)

    async def close(self) -> None:
        """Close the connection."""
        await self._rest.close()


def open_watcher(url: str, options: WatchOptions, transport: httpx.AsyncBaseTransport | None = None) -> AirflowWatcher:
    """Read the URL: `instance` is the listener's, `since` how far the first poll looks back. Raises WatchRefused."""
    split = urlsplit(url)
    try:
        port = split.port
    except ValueError as error:
        raise WatchRefused("the port of the URL is no number") from error
    if not split.hostname:
        raise WatchRefused("the URL names no host: write airflow://host:8080/?instance=prod")
    if split.username or split.password:
        raise WatchRefused("leave user and password out of the URL: give --user and AIRSIDE_WATCH_PASSWORD")
    given = dict(parse_qsl(split.query))
    if unknown := sorted(given.keys() - {"instance", "since"}):
        raise WatchRefused(f"`{unknown[0]}` is no parameter of this URL; there are `instance` and `since`")
    instance = given.get("instance", DEFAULT_INSTANCE)
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}", instance):
        raise WatchRefused("`instance` must be 1 to 63 letters, digits, `.`, `_` and `-`")
    scheme = "https" if split.scheme == "airflows" else "http"
    host = f"[{split.hostname}]" if ":" in split.hostname else split.hostname
    place = f"{host}{f':{port}' if port else ''}{split.path.rstrip('/')}"
    rest = Rest(f"{scheme}://{place}", options, transport)
    return AirflowWatcher(f"{split.scheme}://{place}/?instance={instance}", rest, instance, _lookback(given))


def _lookback(given: dict[str, str]) -> timedelta:
    text = given.get("since", DEFAULT_SINCE)
    found = re.fullmatch(r"(\d{1,5})([mhd])", text)
    if not found:
        raise WatchRefused("`since` must be a time to look back, as 30m, 12h or 7d")
    return timedelta(**{_UNITS[found[2]]: int(found[1])})
