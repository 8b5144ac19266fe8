"""As much of a Docker engine as an agent needs, over the real HTTP API: containers are processes of this machine.

Bodies are checked by the published schema of the API; statuses, messages and streams are those of the real engine.
"""

import asyncio
import json
import os
import secrets
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jsonschema
from aiohttp import web
from tests.support.contained import Contained

SCHEMA = json.loads((Path(__file__).parents[1] / "data/docker/container_create_1_47.json").read_text())
API = "1.47"


@dataclass
class Container:
    id: str
    name: str
    body: dict[str, Any]
    held: Contained = field(default_factory=Contained)
    error: str = ""

    @property
    def status(self) -> str:
        if self.held.process is None:
            return "created"
        return "running" if self.held.runs else "exited"

    def state(self) -> dict[str, Any]:
        code = 127 if self.error else self.held.code or 0
        return {
            "Status": self.status,
            "Running": self.held.runs,
            "Paused": False,
            "Restarting": False,
            "OOMKilled": self.held.oom,
            "Dead": False,
            "Pid": self.held.process.pid if self.held.process and self.held.runs else 0,
            "ExitCode": code,
            "Error": self.error,
        }


class DockerEngine:
    """The engine, and what it was asked for."""

    def __init__(self, socket: Path, folder: Path) -> None:
        self.socket = socket
        self.folder = folder
        #: Images that are here, and those that can be pulled.
        self.images = {"flows:1"}
        self.registry = {"registry.example/flows:2"}
        self.containers: dict[str, Container] = {}
        self.created: list[dict[str, Any]] = []
        self.asked: list[str] = []
        self.kills: list[str] = []
        #: Answer with 500 to everything while it is set.
        self.away = False
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()

    @property
    def url(self) -> str:
        return f"unix://{self.socket}"

    def one(self) -> Container:
        (container,) = self.containers.values()
        return container

    def drop(self) -> None:
        """Break what is being read, as a restarted engine does."""
        self._loop.call_soon_threadsafe(lambda: [transport.abort() for transport in self._transports()])

    def _transports(self) -> list[Any]:
        server = self._runner.server
        assert server is not None
        return [connection.transport for connection in server.connections if connection.transport is not None]

    def run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._serve())
        self._ready.set()
        self._loop.run_forever()
        self._loop.run_until_complete(self._close())
        self._loop.close()

    async def _serve(self) -> None:
        app = web.Application(middlewares=[self._plain])
        for prefix in ("", r"/v{version:\d+\.\d+}"):
            app.router.add_get(f"{prefix}/_ping", self._ping)
            app.router.add_get(f"{prefix}/version", self._version)
            app.router.add_get(f"{prefix}/images/{{name:.+}}/json", self._image)
            app.router.add_post(f"{prefix}/images/create", self._pull)
            app.router.add_post(f"{prefix}/containers/create", self._create)
            app.router.add_get(f"{prefix}/containers/json", self._list)
            app.router.add_get(f"{prefix}/containers/{{id}}/json", self._inspect)
            app.router.add_post(f"{prefix}/containers/{{id}}/start", self._start)
            app.router.add_get(f"{prefix}/containers/{{id}}/logs", self._logs)
            app.router.add_post(f"{prefix}/containers/{{id}}/kill", self._kill)
            app.router.add_delete(f"{prefix}/containers/{{id}}", self._remove)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.UnixSite(self._runner, str(self.socket)).start()

    async def _close(self) -> None:
        for container in self.containers.values():
            await container.held.close()
        await self._runner.cleanup()

    @web.middleware
    async def _plain(self, request: web.Request, handler: Any) -> web.StreamResponse:
        self.asked.append(f"{request.method} {request.path}")
        if self.away:
            assert request.transport is not None
            request.transport.abort()  # type: ignore[attr-defined]
            raise web.HTTPServiceUnavailable
        try:
            answer: web.StreamResponse = await handler(request)
        except ConnectionResetError:
            raise asyncio.CancelledError from None  # who read has left
        except web.HTTPException as error:
            return web.json_response({"message": error.text}, status=error.status)
        return answer

    async def _ping(self, _: web.Request) -> web.Response:
        return web.Response(text="OK", headers={"Api-Version": API, "Ostype": "linux"})

    async def _version(self, _: web.Request) -> web.Response:
        about = {"Version": "27.3.1", "ApiVersion": API, "MinAPIVersion": "1.24", "Os": "linux", "Arch": "amd64"}
        return web.json_response(about)

    async def _image(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        if name not in self.images:
            raise web.HTTPNotFound(text=f"No such image: {name}")
        return web.json_response({"Id": "sha256:" + "0" * 64, "RepoTags": [name], "Config": {"Env": self._path()}})

    async def _pull(self, request: web.Request) -> web.StreamResponse:
        name = f"{request.query['fromImage']}:{request.query['tag']}"
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        told: list[dict[str, Any]] = [{"status": f"Pulling from {name}", "id": request.query["tag"]}]
        if name in self.registry:
            self.images.add(name)
            told.append({"status": f"Status: Downloaded newer image for {name}"})
        else:
            text = f"manifest for {name} not found: manifest unknown"
            told.append({"errorDetail": {"message": text}, "error": text})
        for line in told:
            await response.write(json.dumps(line).encode() + b"\r\n")
        return response

    async def _create(self, request: web.Request) -> web.Response:
        body, name = await request.json(), request.query.get("name", "")
        errors = list(jsonschema.Draft202012Validator(SCHEMA).iter_errors(body))
        if errors:
            raise web.HTTPBadRequest(text=f"invalid JSON: {errors[0].json_path}: {errors[0].message}")
        for other in self.containers.values():
            if other.name == name:
                text = f'Conflict. The container name "/{name}" is already in use by container "{other.id}".'
                raise web.HTTPConflict(
                    text=text + " You have to remove (or rename) that container to be able to reuse that name."
                )
        if body["Image"] not in self.images:
            raise web.HTTPNotFound(text=f"No such image: {body['Image']}")
        body["HostConfig"] = body.get("HostConfig") or {}
        if 0 < (body["HostConfig"].get("Memory") or 0) < 6 * 2**20:
            raise web.HTTPBadRequest(text="Minimum memory limit allowed is 6MB")
        self.created.append({"name": name, **body})
        made = Container(secrets.token_hex(32), name, body)
        self.containers[made.id] = made
        return web.json_response({"Id": made.id, "Warnings": []}, status=201)

    async def _list(self, request: web.Request) -> web.Response:
        wanted = json.loads(request.query.get("filters", "{}")).get("label", [])
        everything = request.query.get("all", "").lower() in ("1", "true")
        found = []
        for one in self.containers.values():
            labels = one.body.get("Labels") or {}
            if (everything or one.held.runs) and all(
                (labels.get(word.partition("=")[0]) == word.partition("=")[2]) if "=" in word else word in labels
                for word in wanted
            ):
                about = {"Id": one.id, "Names": [f"/{one.name}"], "Image": one.body["Image"], "Labels": labels}
                found.append({**about, "State": one.status, "Created": 0, "Command": "", "Status": one.status})
        return web.json_response(found)

    async def _inspect(self, request: web.Request) -> web.Response:
        one = self._of(request)
        about = {"Id": one.id, "Name": f"/{one.name}", "State": one.state(), "Config": one.body}
        return web.json_response({**about, "HostConfig": one.body["HostConfig"], "RestartCount": 0})

    async def _start(self, request: web.Request) -> web.Response:
        one = self._of(request)
        if one.held.process is not None:
            return web.Response(status=304)
        command = [*(one.body.get("Entrypoint") or []), *(one.body.get("Cmd") or [])]
        given = dict(line.split("=", 1) for line in [*self._path(), *(one.body.get("Env") or [])])
        folder = Path(one.body.get("WorkingDir") or self.folder)
        try:
            await one.held.start(command, given, folder, one.body["HostConfig"].get("Memory"))
        except FileNotFoundError as error:
            one.error = f'exec: "{command[0]}": executable file not found in $PATH: unknown'
            raise web.HTTPBadRequest(text=f"failed to create task for container: {one.error}") from error
        return web.Response(status=204)

    async def _logs(self, request: web.Request) -> web.StreamResponse:
        one, query = self._of(request), request.query
        wanted = {number for number, name in ((1, "stdout"), (2, "stderr")) if query.get(name, "0") in ("1", "True")}
        if not wanted:
            raise web.HTTPBadRequest(text="Bad parameters: you must choose at least one stream")
        content = "application/vnd.docker.multiplexed-stream"
        response = web.StreamResponse(headers={"Content-Type": content})
        response.enable_chunked_encoding()
        await response.prepare(request)
        follow, stamped = query.get("follow") in ("1", "True"), query.get("timestamps") in ("1", "True")
        since = float(query.get("since", "0"))
        async for line in one.held.following(follow=follow):
            if line.stream in wanted and _seconds(line.stamp) >= since:
                await response.write(line.framed(stamped=stamped))
        return response

    async def _kill(self, request: web.Request) -> web.Response:
        one = self._of(request)
        if not one.held.runs:
            raise web.HTTPConflict(text=f"cannot kill container: {one.id}: container {one.id} is not running")
        word = request.query.get("signal", "SIGKILL")
        self.kills.append(word)
        number = signal.Signals[word if word.startswith("SIG") else f"SIG{word}"]
        await one.held.signal(number)
        return web.Response(status=204)

    async def _remove(self, request: web.Request) -> web.Response:
        one = self._of(request)
        if one.held.runs and request.query.get("force", "").lower() not in ("1", "true"):
            raise web.HTTPConflict(text=f"cannot remove container: {one.id}: container is running")
        await one.held.close()
        del self.containers[one.id]
        return web.Response(status=204)

    def _of(self, request: web.Request) -> Container:
        name = request.match_info["id"]
        for one in self.containers.values():
            if name in (one.name, one.id) or one.id.startswith(name):
                return one
        raise web.HTTPNotFound(text=f"No such container: {name}")

    def _path(self) -> list[str]:
        return [f"PATH={Path(sys.executable).parent}:{os.environ['PATH']}", "HOME=/tmp"]


def _seconds(stamp: str) -> float:
    from datetime import datetime

    return datetime.fromisoformat(stamp[:26] + "+00:00").timestamp()


@contextmanager
def running(folder: Path) -> Iterator[DockerEngine]:
    """Run one; its socket must have a short path."""
    import tempfile

    with tempfile.TemporaryDirectory(prefix="engine-") as short:
        engine = DockerEngine(Path(short) / "docker.sock", folder)
        thread = threading.Thread(target=engine.run, daemon=True)
        thread.start()
        assert engine._ready.wait(60)
        try:
            yield engine
        finally:
            engine._loop.call_soon_threadsafe(engine._loop.stop)
            thread.join(20)
