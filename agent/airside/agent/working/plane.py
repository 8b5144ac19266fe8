"""The plane as an agent sees it: a handful of HTTP requests, all of them going out."""

from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import quote

import httpx

from airside.agent.working.exceptions import NotHeld, PlaneAway, PlaneRefuses, UnknownAgent

_CONNECT_SECONDS: Final = 5.0
_ANSWER_SECONDS: Final = 20.0
CLAIM_WAIT_SECONDS: Final = 25.0


class Plane:
    """One server and one token. Proxies are taken from the environment, as `HTTPS_PROXY` and `NO_PROXY` say."""

    def __init__(self, url: str, token: str | None) -> None:
        headers = {"User-Agent": "airside-agent"} | ({"Authorization": f"Bearer {token}"} if token else {})
        self.url = url
        self._http = httpx.AsyncClient(base_url=url, headers=headers)

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def register(self, about: Mapping[str, Any]) -> tuple[str, float]:
        """Say who is here; gives the agent's id, and how often it is to be heard of (seconds)."""
        found = await self._ask("/api/agents", about)
        return str(found["agent"]), float(found.get("heartbeat_seconds") or 15.0)

    async def heartbeat(self, agent: str, running: Sequence[str], capabilities: Mapping[str, Any]) -> set[str]:
        """Say that the agent lives, what runs, and what it can start; gives the runs that are to be cancelled."""
        body = {"running": list(running), "capabilities": dict(capabilities)}
        found = await self._ask(f"/api/agents/{quote(agent, safe='')}/heartbeat", body)
        return {str(run).rpartition("/")[2] for run in found.get("cancel", ())}

    async def stop(self, agent: str) -> None:
        """Say that the agent ends in order."""
        await self._ask(f"/api/agents/{quote(agent, safe='')}/stop", {})

    async def claim(self, agent: str, queues: Sequence[str], limit: int, wait: float) -> list[Mapping[str, Any]]:
        """Claim up to `limit` runs, waiting for the first for `wait` seconds."""
        body = {"agent": agent, "queues": list(queues), "limit": limit, "wait": wait}
        found = await self._ask("/api/work/claim", body, wait + _ANSWER_SECONDS)
        return list(found.get("claims", ()))

    async def renew(self, claims: Sequence[str]) -> tuple[set[str], set[str]]:
        """Keep claims; gives those that are lost, and those whose run is to be cancelled."""
        found = await self._ask("/api/work/renew", {"claims": list(claims)})
        return set(map(str, found.get("lost", ()))), set(map(str, found.get("cancel", ())))

    async def take_over(self, agent: str, claims: Sequence[str]) -> tuple[dict[str, str], set[str]]:
        """Take over claims whose agent is gone; gives them with when it was heard of, and those that nobody holds."""
        found = await self._ask("/api/work/take-over", {"agent": agent, "claims": list(claims)})
        taken = {str(one["claim"]): str(one.get("since") or "") for one in found.get("taken", ())}
        return taken, set(map(str, found.get("lost", ())))

    async def finish(self, body: Mapping[str, Any]) -> None:
        """Give a claim back with what became of its run. Raises NotHeld when somebody else has it."""
        await self._ask("/api/work/finish", body)

    async def _ask(self, path: str, body: Mapping[str, Any], seconds: float = _ANSWER_SECONDS) -> Mapping[str, Any]:
        """Post and decode. Raises PlaneAway and PlaneRefuses."""
        timeout = httpx.Timeout(seconds, connect=_CONNECT_SECONDS)
        try:
            response = await self._http.post(path, json=body, timeout=timeout)
            document = response.json() if response.content else {}
        except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
            raise PlaneAway(f"{self.url} does not answer: {error or type(error).__name__}") from error
        answer = document if isinstance(document, Mapping) else {}
        if response.is_success:
            return answer
        said = str(answer.get("detail") or answer.get("title") or f"HTTP {response.status_code}")[:500]
        if response.status_code >= 500 or response.status_code == 429:
            raise PlaneAway(f"{self.url}: {said}")
        if path == "/api/work/finish" and response.status_code in (404, 409):
            raise NotHeld(said)
        if response.status_code in (404, 409) and "agent" in f"{answer.get('type')} {said}":
            raise UnknownAgent(said)
        raise PlaneRefuses(f"{self.url}: {said}")
