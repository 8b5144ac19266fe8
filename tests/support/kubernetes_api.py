"""As much of a Kubernetes API server as following Events needs, over real HTTP with chunked watches.

It keeps a log of changes with resource versions as etcd does, forgets it on demand (410 by status when a watch is
opened with a forgotten version, as an ERROR line when the version is forgotten while it is read), pages lists, sends
bookmarks, filters by namespace and type, and drops connections when it is told to.
"""

import asyncio
import json
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web


@dataclass
class KubernetesApi:
    """The server and what it holds."""

    items: dict[str, dict[str, Any]] = field(default_factory=dict)
    changes: list[tuple[int, str, dict[str, Any]]] = field(default_factory=list)
    version: int = 100
    oldest: int = 0
    opened: list[str] = field(default_factory=list)
    lists: int = 0
    url: str = ""
    _watches: set[web.StreamResponse] = field(default_factory=set)
    _moved: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def start(self) -> None:
        app = web.Application()
        app.router.add_get("/api/v1/events", self._events)
        app.router.add_get("/api/v1/namespaces/{namespace}/events", self._events)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def stop(self) -> None:
        await self._runner.cleanup()

    async def put(self, name: str, count: int = 1, reason: str = "BackOff", **more: Any) -> None:
        """Create an Event or count it up."""
        kind = "MODIFIED" if name in self.items else "ADDED"
        self.version += 1
        item = {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": name, "namespace": "data", "uid": f"uid-{name}", "resourceVersion": str(self.version)},
            "involvedObject": {"kind": "Pod", "namespace": "data", "name": "orders-load-x7k2p", "uid": "p"},
            "reason": reason,
            "type": "Warning",
            "message": "Back-off restarting failed container",
            "count": count,
            "firstTimestamp": "2026-11-22T06:00:00Z",
            "lastTimestamp": f"2026-11-22T06:00:{count:02d}Z",
            "source": {"component": "kubelet", "host": "node-1"},
        } | more
        self.items[name] = item
        await self._change(kind, item)

    async def bookmark(self) -> None:
        self.version += 1
        about = {"kind": "Event", "apiVersion": "v1", "metadata": {"resourceVersion": str(self.version)}}
        await self._change("BOOKMARK", about)

    async def drop(self) -> None:
        """Break all watches in the middle of a line."""
        for response in list(self._watches):
            await response.write(b'{"type": "ADD')
            assert response._req is not None
            response._req.transport.abort()  # type: ignore[union-attr]

    async def forget(self, *, in_the_stream: bool = False) -> None:
        """Compact: what happened so far cannot be followed any more."""
        self.oldest = self.version + 1
        if in_the_stream:
            await self._change("ERROR", {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old"})
        else:
            await self.drop()

    async def _change(self, kind: str, item: dict[str, Any]) -> None:
        async with self._moved:
            self.changes.append((self.version, kind, json.loads(json.dumps(item))))
            self._moved.notify_all()

    async def _events(self, request: web.Request) -> web.StreamResponse:
        if request.query.get("watch", "").lower() == "true":
            return await self._watch(request)
        self.lists += 1
        found = [item for item in self.items.values() if self._wanted(request, item)]
        limit, start = int(request.query["limit"]), int(request.query.get("continue", "0"))
        more = str(start + limit) if start + limit < len(found) else ""
        metadata = {"resourceVersion": str(self.version), "continue": more}
        body = {"kind": "EventList", "apiVersion": "v1", "metadata": metadata, "items": found[start : start + limit]}
        return web.json_response(body)

    async def _watch(self, request: web.Request) -> web.StreamResponse:
        version = int(request.query["resourceVersion"])
        self.opened.append(request.query_string)
        if version + 1 < self.oldest:
            return web.json_response({"kind": "Status", "code": 410, "reason": "Expired"}, status=410)
        response = web.StreamResponse()
        response.enable_chunked_encoding()
        await response.prepare(request)
        self._watches.add(response)
        try:
            while True:
                for number, kind, item in self.changes:
                    if number > version or kind == "ERROR":
                        if kind in ("ERROR", "BOOKMARK") or self._wanted(request, item):
                            await response.write(json.dumps({"type": kind, "object": item}).encode() + b"\n")
                        version = number
                        if kind == "ERROR":
                            self.changes.clear()
                            return response
                async with self._moved:
                    await self._moved.wait()
        finally:
            self._watches.discard(response)

    def _wanted(self, request: web.Request, item: dict[str, Any]) -> bool:
        namespace = request.match_info.get("namespace")
        selected = request.query.get("fieldSelector", f"type={item['type']}")
        return namespace in (None, item["metadata"]["namespace"]) and selected == f"type={item['type']}"
