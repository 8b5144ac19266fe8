"""The routes of a plane that an agent and the runs it starts speak to, over real HTTP: what it was told is kept."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from uuid import uuid4


class AgentPlane:
    """Hands out the runs it was given, one by one, and writes down what it is told."""

    def __init__(self) -> None:
        self.waiting: list[dict[str, Any]] = []
        self.told: list[tuple[str, Any]] = []
        self.cancel: set[str] = set()
        self.lost: set[str] = set()
        #: Claims whose agent is gone.
        self.left: set[str] = set()
        #: Answer 503 to everything while it is set.
        self.away = False
        #: It knows the agent's token no more.
        self.refuses = False
        self.lease_seconds = 0.6
        self.url = ""

    def give(self, entrypoint: str, parameters: dict[str, Any] | None = None, **deployment: Any) -> str:
        """Let a run wait; gives its id."""
        run = str(uuid4())
        self.waiting.append(
            {
                "claim": f"claim-{run}",
                "run": run,
                "seq": 2,
                "name": "job",
                "deployment": {"name": "prod", "flow": "job", "entrypoint": entrypoint, **deployment},
                "parameters": parameters or {},
                "lease_seconds": self.lease_seconds,
            }
        )
        return run

    def bodies(self, path: str) -> list[Any]:
        """Give what was posted to a path."""
        return [body for where, body in list(self.told) if where == path]

    def states(self, run: str) -> list[str]:
        """Give the states that a run's process proposed."""
        return [body["state"] for body in self.bodies(f"/api/runs/{run}/states")]

    def answer(self, path: str, body: Any) -> tuple[int, Any]:
        if self.refuses:
            return 401, {"type": "urn:airside:problem:unauthorized", "detail": "This token is unknown."}
        if self.away:
            return 503, {"detail": "not now"}
        self.told.append((path, body))
        if path == "/api/agents":
            return 200, {"agent": "agent-1", "heartbeat_seconds": 0.2}
        if path.endswith("/heartbeat"):
            return 200, {"cancel": []}
        if path == "/api/work/claim":
            deadline = time.monotonic() + min(body["wait"], 0.5)
            while not self.waiting and time.monotonic() < deadline:
                time.sleep(0.02)
            found, self.waiting = self.waiting[: body["limit"]], self.waiting[body["limit"] :]
            return 200, {"claims": found}
        if path == "/api/work/renew":
            held = set(body["claims"])
            return 200, {"lost": sorted(self.lost & held), "cancel": sorted(self.cancel & held)}
        if path == "/api/work/take-over":
            found = set(body["claims"])
            taken = [{"claim": token, "since": None} for token in sorted(self.left & found)]
            return 200, {"taken": taken, "lost": sorted(self.lost & found)}
        if path.endswith("/states") and path != "/api/runs/states":
            return 200, {"position": 1, "state": body["state"], "seq": body["expected"] + 1}
        if path == "/api/events":
            return 202, {"accepted": len(body) if isinstance(body, list) else 1, "duplicates": 0}
        return (202 if path == "/api/logs" else 200), {}


def _handler(plane: AgentPlane) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            text = self.rfile.read(int(self.headers["Content-Length"] or 0)).decode()
            lines = "ndjson" in self.headers.get("Content-Type", "")
            body = [json.loads(line) for line in text.splitlines()] if lines else json.loads(text or "{}")
            self._send(*plane.answer(self.path.replace("%3A", ":"), body))

        def do_GET(self) -> None:
            self._send(404, {"detail": "not here"})

        def _send(self, status: int, document: Any) -> None:
            content = json.dumps(document).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            try:
                self.wfile.write(content)
            except BrokenPipeError:
                pass

        def log_message(self, *_: Any) -> None:
            pass

    return Handler


@contextmanager
def running() -> Iterator[AgentPlane]:
    """Run one on a free port."""
    plane = AgentPlane()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(plane))
    server.daemon_threads = True
    plane.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield plane
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
