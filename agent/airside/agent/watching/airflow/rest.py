"""Asks Airflow's REST API (v2)."""

from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final

import httpx

from airside.agent.watching.watcher import WatchError, WatchOptions, WatchRefused

_TIMEOUT: Final = httpx.Timeout(30.0, connect=5.0)
_UNAUTHORISED: Final = 401


class Rest:
    """One Airflow. Logs in when it is asked to; raises WatchError and WatchRefused."""

    def __init__(self, base_url: str, options: WatchOptions, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self._http = httpx.AsyncClient(base_url=base_url, timeout=_TIMEOUT, transport=transport)
        self._shown = base_url
        self._options = options
        self._token = options.token
        #: What time it is there, by the last answer.
        self.now = datetime.now(UTC)

    async def rows(self, path: str, name: str, parameters: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Read one page of a list."""
        document = await self.get(path, parameters)
        found = document.get(name)
        if not isinstance(found, list):
            raise WatchRefused(f"{self._shown}{path} answered without `{name}`: this is no Airflow 3")
        return [row for row in found if isinstance(row, dict)]

    async def get(self, path: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """Read one document."""
        response = await self._ask(path, parameters)
        if response.status_code == _UNAUTHORISED and self._options.token is None:
            await self._log_in()
            response = await self._ask(path, parameters)
        self._check(response)
        self.now = _date(response) or datetime.now(UTC)
        try:
            document = response.json()
        except ValueError as error:
            raise WatchRefused(f"{self._shown}{path} answered no JSON: this is no Airflow 3") from error
        return document if isinstance(document, dict) else {}

    async def close(self) -> None:
        """Close the connection."""
        await self._http.aclose()

    async def _ask(self, path: str, parameters: Mapping[str, Any]) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self._token}"} if self._token else {}
        return await self._sent("GET", path, params=parameters, headers=headers)

    async def _log_in(self) -> None:
        """Get a token. An Airflow that lets everybody in gives one for nothing."""
        if self._options.user is None:
            response = await self._sent("GET", "/auth/token")
        else:
            given = {"username": self._options.user, "password": self._options.password or ""}
            response = await self._sent("POST", "/auth/token", json=given)
        try:
            self._token = str(response.json()["access_token"])
        except (ValueError, KeyError, TypeError) as error:
            if response.status_code >= 500:
                raise WatchError(f"{self._shown}/auth/token answered {response.status_code}") from error
            raise WatchRefused(
                f"{self._shown} does not let us in ({response.status_code}): give --user and AIRSIDE_WATCH_PASSWORD,"
                " or AIRSIDE_WATCH_TOKEN"
            ) from error

    async def _sent(self, method: str, path: str, **more: Any) -> httpx.Response:
        try:
            return await self._http.request(method, path, **more)
        except httpx.TimeoutException as error:
            raise WatchError(f"{self._shown} does not answer in time") from error
        except httpx.HTTPError as error:
            raise WatchError(f"{self._shown} cannot be reached: {type(error).__name__}") from error

    def _check(self, response: httpx.Response) -> None:
        status, path = response.status_code, response.request.url.path
        if status < 300:
            return
        if status in (401, 403):
            raise WatchRefused(f"{self._shown} does not let us read {path} ({status}): check user, password or token")
        if status == 429 or status >= 500:
            raise WatchError(f"{self._shown}: {path} answered {status}")
        raise WatchRefused(f"{self._shown}: {path} answered {status}; this needs Airflow 3")


def _date(response: httpx.Response) -> datetime | None:
    try:
        return parsedate_to_datetime(response.headers["date"]).astimezone(UTC)
    except (KeyError, TypeError, ValueError):
        return None
