"""Follows the Events of a cluster: `k8s://prod/data?type=Warning`; `prod` is what you call the cluster."""

import asyncio
import os
import re
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

import orjson

from airside.agent.watching import options
from airside.agent.watching.kubernetes import mapping
from airside.agent.watching.kubernetes.stream import Expired, Stream
from airside.agent.watching.watcher import Cursor, Polled, WatchError, WatchOptions, WatchRefused

_OPTIONS: Final = ("context", "type", "from")
_PAGE: Final = 500
_LIST_SECONDS: Final = 60
#: How long one watch lasts, by the API server's clock; and by ours, should it have gone without a word.
_WATCH_SECONDS: Final = 240
_GIVE_UP_SECONDS: Final = 300
_FIRST_SECONDS: Final = 2.0


@dataclass(frozen=True, slots=True)
class Cluster:
    """What to follow: one namespace or ("") all, Events of one severity or ("") all."""

    name: str
    namespace: str
    context: str | None
    severity: str
    from_now: bool


class KubernetesWatcher:
    """Lists, then follows. The cursor is the resource version up to which everything was given."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._client: Any = None
        self._stream: Stream | None = None

    @property
    def name(self) -> str:
        """Name what is watched."""
        parts = (self._cluster.name, self._cluster.namespace, self._cluster.severity)
        return "k8s://" + "/".join(part for part in parts if part)

    async def poll(self, cursor: Cursor) -> Polled:
        """Give what came since the cursor; all that there is, when the cluster no longer knows. Raises WatchError."""
        version = cursor.get("version")
        if version is None:
            return await self._list()
        try:
            opened = self._stream is None
            stream = self._stream = self._stream or await self._open(version)
            if opened:
                await stream.wait(_FIRST_SECONDS)
            changes = stream.take()
        except Expired:
            await self._end()
            return Polled([], {}, more=True)  # what is listed again has the ids it had
        except WatchError:
            await self._end()
            raise
        if stream.is_over and not changes:
            await self._end()
            return Polled([], cursor)
        events = [self._event(change["object"]) for change in changes if change["type"] in ("ADDED", "MODIFIED")]
        after = changes[-1]["version"] if changes else version
        return Polled([event for event in events if event], {"version": after})

    async def wait(self, seconds: float) -> None:
        """Wait so many seconds, or until something came."""
        if self._stream is None:
            await asyncio.sleep(min(seconds, 1.0))
        else:
            await self._stream.wait(seconds)

    async def close(self) -> None:
        """End the watch and the connection."""
        await self._end()
        if self._client is not None:
            await self._client.close()
            self._client = None

    async def _list(self) -> Polled:
        events: list[dict[str, Any] | None] = []
        more: dict[str, Any] = {}
        while True:
            page = await self._ask(limit=_PAGE, _request_timeout=_LIST_SECONDS, **more)
            try:
                found = orjson.loads(await page.read())
                version, token = str(found["metadata"]["resourceVersion"]), found["metadata"].get("continue")
                if not self._cluster.from_now:
                    events += [self._event(entry) for entry in found["items"] or ()]
            except (orjson.JSONDecodeError, KeyError, TypeError) as error:
                raise WatchError(f"{self.name}: the answer is no list of Events") from error
            if not token:
                return Polled([event for event in events if event], {"version": version})
            more = {"_continue": token}

    async def _open(self, version: str) -> Stream:
        response = await self._ask(
            watch=True,
            allow_watch_bookmarks=True,
            resource_version=version,
            timeout_seconds=_WATCH_SECONDS,
            _request_timeout=_GIVE_UP_SECONDS,
        )
        return Stream(response)

    async def _ask(self, **given: Any) -> Any:
        """Ask the API server. Raises WatchError; Expired for a version or a page that it has forgotten."""
        api = await self._connected()
        if self._cluster.severity:
            given["field_selector"] = f"type={self._cluster.severity}"
        method = api.list_event_for_all_namespaces
        if self._cluster.namespace:
            method, given = api.list_namespaced_event, {"namespace": self._cluster.namespace, **given}
        try:
            response = await method(_preload_content=False, **given)
        except Exception as error:
            if (status := getattr(error, "status", None)) is None:
                raise WatchError(f"{self.name}: {type(error).__name__}: {error}"[:300]) from error
            response, reason = None, str(getattr(error, "reason", ""))
        else:
            status, reason = response.status, response.reason
        if status == 200:
            return response
        if response is not None:
            response.close()
        if status == 410:
            raise Expired(f"{self.name}: {reason}")
        if status in (401, 403):
            reason += "; it needs the verbs list and watch on events"
        raise WatchError(f"{self.name}: the API server answered {status}: {reason}"[:300])

    async def _connected(self) -> Any:
        try:
            from kubernetes_asyncio import client, config  # noqa: PLC0415 - not in the base install
        except ImportError as error:
            raise WatchRefused("following a cluster needs its client: pip install 'airside[kubernetes]'") from error
        if self._client is None:
            settings = client.Configuration()
            try:
                if "KUBERNETES_SERVICE_HOST" in os.environ and self._cluster.context is None:
                    config.load_incluster_config(client_configuration=settings)  # type: ignore[no-untyped-call]
                else:
                    await config.load_kube_config(context=self._cluster.context, client_configuration=settings)
            except Exception as error:
                raise WatchRefused(f"{self.name}: no way into a cluster: {error}"[:300]) from error
            self._client = client.ApiClient(settings)
        return client.CoreV1Api(self._client)

    async def _end(self) -> None:
        if self._stream is not None:
            stream, self._stream = self._stream, None
            await stream.close()

    def _event(self, seen: dict[str, Any]) -> dict[str, Any] | None:
        return mapping.read(self._cluster.name, seen)


def open_watcher(url: str, asked: WatchOptions) -> KubernetesWatcher:
    """Make the watcher of a URL. Raises WatchRefused."""
    parts = urlsplit(url)
    namespace = parts.path.strip("/")
    if not re.fullmatch(r"[A-Za-z0-9._-]{1,100}", parts.netloc):
        raise WatchRefused(f"{url}: give the cluster a name, as k8s://prod or k8s://prod/namespace")
    if not re.fullmatch(r"[a-z0-9-]{0,63}", namespace):
        raise WatchRefused(f"{url}: `{namespace}` is no namespace")
    found = options.read(parts.query, _OPTIONS, f"k8s://{parts.netloc}")
    severity = found.get("type", "").capitalize()
    if severity not in ("", "Normal", "Warning"):
        raise WatchRefused(f"{url}: type must be Normal or Warning")
    return KubernetesWatcher(
        Cluster(parts.netloc, namespace, found.get("context"), severity, found.get("from") == "now")
    )
