"""As much of a Kubernetes cluster as jobs need: its API over real HTTP, a job controller, pods that are processes.

Manifests are checked strictly by the models of the published API, which the client carries. Secrets, deletion with
grace and with what depends on it, watches by version, images that are not there and memory that runs out are as in a
cluster.
"""

import asyncio
import base64
import contextlib
import json
import re
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import yaml
from aiohttp import web
from kubernetes_asyncio.client import ApiClient
from tests.support.cluster_node import Node, Pod, now

TOKEN = "token-of-the-agent"
_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_LABEL = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?")


class Refused(Exception):
    def __init__(self, code: int, reason: str, message: str) -> None:
        self.status = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code}
        self.status |= {"reason": reason, "message": message}
        super().__init__(message)


class Cluster(Node):
    """One cluster with one agent's account."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        #: What the account may do; None: all. And what it did: (verb, group, resource).
        self.allowed: set[tuple[str, str, str]] | None = None
        self.used: set[tuple[str, str, str]] = set()
        self.created: list[dict[str, Any]] = []
        self.away = False
        self.url = ""
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._tasks: set[asyncio.Task[None]] = set()

    def kubeconfig(self, path: Path) -> Path:
        """Write the file by which clients find it."""
        named = {"clusters": ("cluster", {"server": self.url}), "users": ("user", {"token": TOKEN})}
        document: dict[str, Any] = {"apiVersion": "v1", "kind": "Config", "current-context": "it"}
        document |= {kind: [{"name": "it", key: value}] for kind, (key, value) in named.items()}
        context = {"cluster": "it", "user": "it", "namespace": "etl"}
        path.write_text(yaml.safe_dump(document | {"contexts": [{"name": "it", "context": context}]}))
        return path

    def one(self) -> Pod:
        (pod,) = self.pods.values()
        return pod

    def evict(self) -> None:
        """Let the node run short of memory: its pod is evicted."""
        asyncio.run_coroutine_threadsafe(self.evict_pod(self.one()), self._loop).result(10)

    def drop(self) -> None:
        """Break what is being read, as an API server that is restarted does."""
        server = self._runner.server
        assert server is not None
        found = [connection.transport for connection in server.connections]
        self._loop.call_soon_threadsafe(lambda: [one.abort() for one in found if one is not None])  # type: ignore[func-returns-value]

    def run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._serve())
        self._ready.set()
        self._loop.run_forever()
        self._loop.run_until_complete(self._close())
        self._loop.close()

    async def _serve(self) -> None:
        self.moved = asyncio.Condition()
        app = web.Application(middlewares=[self._plain])
        router, jobs = app.router, "/apis/batch/v1/namespaces/{ns}/jobs"
        router.add_post(jobs, self._create_job)
        router.add_get(jobs, self._list_jobs)
        router.add_get(jobs + "/{name}", self._get_job)
        router.add_delete(jobs + "/{name}", self._delete_job)
        router.add_get("/api/v1/namespaces/{ns}/pods", self._list_pods)
        router.add_delete("/api/v1/namespaces/{ns}/pods/{name}", self._delete_pod_of)
        router.add_get("/api/v1/namespaces/{ns}/pods/{name}/log", self._log)
        router.add_post("/api/v1/namespaces/{ns}/secrets", self._create_secret)
        router.add_put("/api/v1/namespaces/{ns}/secrets/{name}", self._replace_secret)
        router.add_patch("/api/v1/namespaces/{ns}/secrets/{name}", self._patch_secret)
        router.add_delete("/api/v1/namespaces/{ns}/secrets/{name}", self._delete_secret)
        router.add_get("/api/v1/namespaces/{ns}/events", self._events)
        router.add_post("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", self._review)
        self._api = ApiClient()
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def _close(self) -> None:
        for task in self._tasks:
            task.cancel()
        for pod in self.pods.values():
            await pod.held.close()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._api.close()
        await self._runner.cleanup()

    @web.middleware
    async def _plain(self, request: web.Request, handler: Any) -> web.StreamResponse:
        if self.away:
            assert request.transport is not None
            request.transport.abort()  # type: ignore[attr-defined]
            raise web.HTTPServiceUnavailable
        try:
            if request.headers.get("Authorization") != f"Bearer {TOKEN}":
                raise Refused(401, "Unauthorized", "Unauthorized")
            self._authorize(request)
            answer: web.StreamResponse = await handler(request)
        except ConnectionResetError:
            raise asyncio.CancelledError from None  # who watched has left
        except Refused as error:
            return web.json_response(error.status, status=int(error.status["code"]))
        return answer

    def _authorize(self, request: web.Request) -> None:
        parts = request.path.split("/")
        if "selfsubjectaccessreviews" in parts:
            return
        group = parts[2] if parts[1] == "apis" else ""
        rest = parts[parts.index("namespaces") + 2 :]
        resource = rest[0] + (f"/{rest[2]}" if len(rest) > 2 else "")
        verbs = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
        verb = verbs.get(request.method) or ("get" if len(rest) > 1 else "list")
        verb = "watch" if request.query.get("watch", "").lower() == "true" else verb
        self.used.add((verb, group, resource))
        if self.allowed is not None and (verb, group, resource) not in self.allowed:
            about = f'User "system:serviceaccount:etl:airside-agent" cannot {verb} resource "{resource}"'
            where = f'in API group "{group}" in the namespace "{request.match_info["ns"]}"'
            raise Refused(403, "Forbidden", f"{resource} is forbidden: {about} {where}")

    async def _review(self, request: web.Request) -> web.Response:
        body = await request.json()
        asked = body["spec"]["resourceAttributes"]
        right = (asked["verb"], asked["group"], asked["resource"])
        return web.json_response(
            body | {"status": {"allowed": self.allowed is None or right in self.allowed}}, status=201
        )

    # --- jobs

    async def _create_job(self, request: web.Request) -> web.Response:
        body, ns = await request.json(), request.match_info["ns"]
        self._check(body, strict=request.query.get("fieldValidation") == "Strict")
        name = body["metadata"]["name"]
        if (ns, name) in self.jobs:
            raise Refused(409, "AlreadyExists", f'jobs.batch "{name}" already exists')
        body["metadata"] |= {"namespace": ns, "uid": secrets.token_hex(8), "creationTimestamp": now()}
        self.created.append(json.loads(json.dumps(body)))
        self.jobs[ns, name] = body | {"status": {}}
        self._spawn(self.make_pod(ns, name))
        return web.json_response(self.jobs[ns, name], status=201)

    def _check(self, body: dict[str, Any], *, strict: bool) -> None:
        """Refuse what the API refuses: unknown fields, names, restart policies."""
        try:
            read = self._api.deserialize(SimpleNamespace(data=json.dumps(body)), "V1Job")
        except (ValueError, TypeError) as error:
            raise Refused(422, "Invalid", f"Job.batch is invalid: {error}") from error
        if strict and (unknown := list(_unknown(body, self._api.sanitize_for_serialization(read)))):
            text = (
                f'Job in version "v1" cannot be handled as a Job: strict decoding error: unknown field {unknown[0]!r}'
            )
            raise Refused(400, "BadRequest", text.replace("'", '"'))
        name, pod = body["metadata"]["name"], body["spec"]["template"]
        problems = [] if _NAME.fullmatch(name) else [f"metadata.name: Invalid value: {name!r}"]
        if pod["spec"].get("restartPolicy") not in ("Never", "OnFailure"):
            problems.append('spec.template.spec.restartPolicy: Required value: valid values: "OnFailure", "Never"')
        for labels in (body["metadata"].get("labels", {}), pod.get("metadata", {}).get("labels", {})):
            problems += [
                f"metadata.labels: Invalid value: {it!r}" for it in labels.values() if not _LABEL.fullmatch(it)
            ]
        for container in pod["spec"]["containers"]:
            if not container.get("image"):
                problems.append("spec.template.spec.containers[0].image: Required value")
        if problems:
            raise Refused(422, "Invalid", f'Job.batch "{name}" is invalid: {problems[0]}')

    async def _list_jobs(self, request: web.Request) -> web.Response:
        found = [job for (ns, _), job in self.jobs.items() if ns == request.match_info["ns"] and _wanted(request, job)]
        return self._listed("JobList", found)

    async def _get_job(self, request: web.Request) -> web.Response:
        return web.json_response(self._job(request))

    async def _delete_job(self, request: web.Request) -> web.Response:
        job, options = self._job(request), await _options(request)
        key = (request.match_info["ns"], request.match_info["name"])
        policy = request.query.get("propagationPolicy") or options.get("propagationPolicy") or "Background"
        if "deletionTimestamp" not in job["metadata"]:
            job["metadata"]["deletionTimestamp"] = now()
            if policy != "Foreground":
                self._forget_job(key)
            self._spawn(self._end_job(key, foreground=policy == "Foreground"))
        return web.json_response(job)

    async def _end_job(self, key: tuple[str, str], *, foreground: bool) -> None:
        mine = [pod for pod in self.pods.values() if pod.document["metadata"]["labels"]["job-name"] == key[1]]
        for pod in mine:
            await self.delete_pod(pod, None)
        if foreground:
            self._forget_job(key)

    def _forget_job(self, key: tuple[str, str]) -> None:
        job = self.jobs.pop(key, None)
        for name, secret in list(self.secrets.items()):
            owners = secret["metadata"].get("ownerReferences", [])
            if job is not None and any(owner["uid"] == job["metadata"]["uid"] for owner in owners):
                del self.secrets[name]

    def _job(self, request: web.Request) -> dict[str, Any]:
        name = request.match_info["name"]
        if (request.match_info["ns"], name) not in self.jobs:
            raise Refused(404, "NotFound", f'jobs.batch "{name}" not found')
        return self.jobs[request.match_info["ns"], name]

    # --- pods

    async def _delete_pod_of(self, request: web.Request) -> web.Response:
        name, options = request.match_info["name"], await _options(request)
        pod = self.pods.get((request.match_info["ns"], name))
        if pod is None:
            raise Refused(404, "NotFound", f'pods "{name}" not found')
        given = request.query.get("gracePeriodSeconds") or options.get("gracePeriodSeconds")
        self._spawn(self.delete_pod(pod, None if given is None else float(given)))
        return web.json_response(pod.document)

    async def _list_pods(self, request: web.Request) -> web.StreamResponse:
        if request.query.get("watch", "").lower() == "true":
            return await self._watch(request)
        ns = request.match_info["ns"]
        found = [
            pod.document for (where, _), pod in self.pods.items() if where == ns and _wanted(request, pod.document)
        ]
        return self._listed("PodList", found)

    async def _watch(self, request: web.Request) -> web.StreamResponse:
        version = int(request.query["resourceVersion"])
        until = time.monotonic() + float(request.query.get("timeoutSeconds", "30"))
        response = web.StreamResponse()
        response.enable_chunked_encoding()
        await response.prepare(request)
        while time.monotonic() < until and not self.away:
            for number, kind, item in list(self.changes):
                if number > version and _wanted(request, item):
                    await response.write(json.dumps({"type": kind, "object": item}).encode() + b"\n")
                version = max(version, number)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(0.2), self.moved:
                    await self.moved.wait()
        return response

    async def _log(self, request: web.Request) -> web.StreamResponse:
        pod = self.pods.get((request.match_info["ns"], request.match_info["name"]))
        if pod is None:
            raise Refused(404, "NotFound", f'pods "{request.match_info["name"]}" not found')
        if request.query.get("container") != pod.document["spec"]["containers"][0]["name"]:
            raise Refused(400, "BadRequest", "container is not valid for pod")
        if pod.held.process is None:
            raise Refused(400, "BadRequest", "container is waiting to start: ContainerCreating")
        response = web.StreamResponse(headers={"Content-Type": "text/plain"})
        response.enable_chunked_encoding()
        await response.prepare(request)
        since = time.time() - float(request.query.get("sinceSeconds", "1e9"))
        async for line in pod.held.following(follow=request.query.get("follow", "").lower() == "true"):
            if datetime.fromisoformat(line.stamp[:26] + "+00:00").timestamp() >= since:
                await response.write(line.stamp.encode() + b" " + line.text)
        return response

    # --- secrets and events

    async def _create_secret(self, request: web.Request) -> web.Response:
        body, ns = await request.json(), request.match_info["ns"]
        if (ns, body["metadata"]["name"]) in self.secrets:
            raise Refused(409, "AlreadyExists", f'secrets "{body["metadata"]["name"]}" already exists')
        return self._keep_secret(ns, body, 201)

    async def _replace_secret(self, request: web.Request) -> web.Response:
        self._secret(request)
        return self._keep_secret(request.match_info["ns"], await request.json(), 200)

    async def _patch_secret(self, request: web.Request) -> web.Response:
        secret, body = self._secret(request), await request.json()
        assert "patch+json" in request.headers["Content-Type"], request.headers["Content-Type"]
        secret["metadata"] |= body["metadata"]
        return web.json_response(secret)

    async def _delete_secret(self, request: web.Request) -> web.Response:
        self._secret(request)
        del self.secrets[request.match_info["ns"], request.match_info["name"]]
        return web.json_response({"kind": "Status", "status": "Success"})

    def _keep_secret(self, ns: str, body: dict[str, Any], status: int) -> web.Response:
        data = {name: base64.b64encode(text.encode()).decode() for name, text in body.pop("stringData", {}).items()}
        self.secrets[ns, body["metadata"]["name"]] = body | {"data": data}
        return web.json_response(body, status=status)

    def _secret(self, request: web.Request) -> dict[str, Any]:
        name = request.match_info["name"]
        if (request.match_info["ns"], name) not in self.secrets:
            raise Refused(404, "NotFound", f'secrets "{name}" not found')
        return self.secrets[request.match_info["ns"], name]

    async def _events(self, _: web.Request) -> web.Response:
        return self._listed("EventList", [])

    def _listed(self, kind: str, items: list[dict[str, Any]]) -> web.Response:
        about = {"kind": kind, "apiVersion": "v1", "metadata": {"resourceVersion": str(self.version)}}
        return web.json_response({**about, "items": items})

    def _spawn(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _wanted(request: web.Request, item: dict[str, Any]) -> bool:
    labels = item["metadata"].get("labels", {})
    words = [word for word in request.query.get("labelSelector", "").split(",") if word]
    return all(labels.get(word.partition("=")[0]) == word.partition("=")[2] for word in words)


def _unknown(given: Any, read: Any, where: str = "") -> Iterator[str]:
    """Name the fields that the API does not know."""
    if isinstance(given, dict) and isinstance(read, dict):
        for key, value in given.items():
            place = f"{where}.{key}".lstrip(".")
            if key not in read:
                yield place
            else:
                yield from _unknown(value, read[key], place)
    elif isinstance(given, list) and isinstance(read, list):
        for number, (one, other) in enumerate(zip(given, read, strict=True)):
            yield from _unknown(one, other, f"{where}[{number}]")


async def _options(request: web.Request) -> dict[str, Any]:
    text = await request.text()
    return dict(json.loads(text)) if text else {}


@contextmanager
def running(folder: Path) -> Iterator[Cluster]:
    """Run one on a free port."""
    cluster = Cluster(folder)
    thread = threading.Thread(target=cluster.run, daemon=True)
    thread.start()
    assert cluster._ready.wait(60)
    try:
        yield cluster
    finally:
        cluster._loop.call_soon_threadsafe(cluster._loop.stop)
        thread.join(30)
