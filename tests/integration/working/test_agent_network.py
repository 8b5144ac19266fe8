"""What an agent and its runs do on the network: no open port, connections to one address, through a proxy and TLS.

The agent has a network namespace of its own, and every packet that leaves or enters it is looked at.
"""

import asyncio
import contextlib
import os
import signal
import ssl
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.integration.test_deployments import until
from tests.support import certificates
from tests.support.flow_process import wait
from tests.support.namespace import Namespace
from tests.support.up import AIRSIDE

from airside.coordinator.server import running
from airside.coordinator.settings import ServerSettings
from airside.coordinator.tokens import Role

FLOW = """
import time
from pathlib import Path
from airside.sdk import flow, get_run_logger, task

@task
def step(number: int) -> int:
    return number

@flow(log_prints=True)
def work(folder: str) -> None:
    get_run_logger().info("at work")
    print(sum(step.map(range(5)).result()))
    Path(folder, "on").touch()
    while not Path(folder, "go").exists():
        time.sleep(0.05)
"""


@asynccontextmanager
async def proxy(address: str) -> AsyncIterator[tuple[str, set[str]]]:
    """Run an HTTP proxy that can CONNECT; gives its URL, and the targets that it was asked for."""
    targets: set[str] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = (await reader.readuntil(b"\r\n\r\n")).decode()
        method, target, *_ = request.split()
        assert method == "CONNECT"
        targets.add(target)
        host, _, port = target.rpartition(":")
        there, back = await asyncio.open_connection(host.strip("[]"), int(port))
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        await asyncio.gather(_pipe(reader, back), _pipe(there, writer))

    server = await asyncio.start_server(serve, address, 0)
    try:
        yield f"http://{_bracketed(address)}:{server.sockets[0].getsockname()[1]}", targets
    finally:
        server.close()


def _port(url: str) -> int:
    return int(url.rpartition(":")[2])


def _bracketed(address: str) -> str:
    """Write an address as it stands before a port."""
    return f"[{address}]" if ":" in address else address


async def _pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    writer.close()


_TALKATIVE = """
import socket, sys, time
family = socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET
port = socket.create_server(("::" if family == socket.AF_INET6 else "0.0.0.0", 0), family=family)
socket.socket(family, socket.SOCK_DGRAM).sendto(b"hello", (sys.argv[1], 9))
time.sleep(60)
"""


@pytest.mark.parametrize("version", ["IPv4", "IPv6"])
def test_a_program_that_listens_or_calls_elsewhere_would_be_seen(version: str) -> None:
    with Namespace.open() as namespace:
        outside = namespace.outside6 if version == "IPv6" else namespace.outside
        command = namespace.command(sys.executable, "-c", _TALKATIVE, outside)
        process = subprocess.Popen(command)
        try:
            wait(namespace.listening)
            wait(lambda: ("udp", outside, 9) in namespace.seen.sent_to)
        finally:
            process.kill()
            process.wait()


@pytest.mark.parametrize("version", ["IPv4", "IPv6"])
@pytest.mark.parametrize("through", ["nothing between", "a proxy"])
async def test_an_agent_listens_nowhere_and_connects_to_one_address_alone(
    tmp_path: Path, through: str, version: str
) -> None:
    with Namespace.open() as namespace:
        outside, loopback = (namespace.outside6, "::1") if version == "IPv6" else (namespace.outside, "127.0.0.1")
        async with contextlib.AsyncExitStack() as stack:
            # Behind the proxy the server is on loopback, which is another one inside: no other way leads to it.
            address = loopback if through == "a proxy" else outside
            cert, key = certificates.loopback(tmp_path, address)
            settings = ServerSettings(home=tmp_path / "home", host=address, port=0, tls_cert=cert, tls_key=key)
            coordinator, url = await stack.enter_async_context(running(settings))
            given = {"AIRSIDE_URL": url, "SSL_CERT_FILE": str(cert)}
            allowed = ("tcp", outside, _port(url))
            if through == "a proxy":
                proxy_url, targets = await stack.enter_async_context(proxy(outside))
                given["HTTPS_PROXY"] = proxy_url
                allowed = ("tcp", outside, _port(proxy_url))
            _, given["AIRSIDE_TOKEN"] = await coordinator.tokens.create("etl", Role.AGENT)
            _, admin = await coordinator.tokens.create("me", Role.ADMIN)
            client = await stack.enter_async_context(
                httpx.AsyncClient(base_url=url, verify=_trusting(cert), headers={"Authorization": f"Bearer {admin}"})
            )
            looks, connected, listening = await _carried_out(namespace, client, tmp_path, given)
            if through == "a proxy":
                # The client writes an address of IPv6 without its brackets here, which not every proxy reads.
                assert {target.replace("[", "").replace("]", "") for target in targets} == {f"{address}:{_port(url)}"}
    assert looks > 20
    assert listening == set()
    assert connected == {f"{_bracketed(allowed[1])}:{allowed[2]}"}
    assert namespace.seen.packets > 20
    assert namespace.seen.sent_to == {allowed}
    assert namespace.seen.asked_in == set()


async def _carried_out(
    namespace: Namespace, client: httpx.AsyncClient, folder: Path, given: dict[str, str]
) -> tuple[int, set[str], set[str]]:
    """Have a run carried out inside, looking at the sockets all the time; gives how often, and what was there."""
    (folder / "work.py").write_text(FLOW)
    storage = {"kind": "path", "path": str(folder)}
    body: dict[str, Any] = {"name": "prod", "flow": "work", "entrypoint": "work.py:work", "storage": storage}
    assert (await client.post("/api/deployments", json=body)).status_code == 200
    wanted = {"parameters": {"folder": str(folder)}}
    run = (await client.post("/api/deployments/work/prod/run", json=wanted)).json()["id"]
    environment = {**os.environ, "AIRSIDE_HOME": str(folder / "agent"), **given}
    command = namespace.command(AIRSIDE, "agent", "start", "-q", "default", "--once")
    looks, connected, listening = 0, set(), set()
    with (folder / "agent.txt").open("wb") as said:
        process = subprocess.Popen(command, env=environment, stderr=said)
    try:
        deadline = time.monotonic() + 90
        while process.poll() is None:
            assert time.monotonic() < deadline, (folder / "agent.txt").read_text()
            connected |= set(await asyncio.to_thread(namespace.connected))
            listening |= set(await asyncio.to_thread(namespace.listening))
            looks += 1
            if (folder / "on").exists() and looks > 20:
                (folder / "go").touch()
        assert process.returncode == 0, (folder / "agent.txt").read_text()
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            process.wait(60)
    await until(client, f"/api/runs/{run.rpartition('/')[2]}/state", lambda found: found["state"] == "completed")
    found = await until(client, f"/api/runs/{run}/logs", lambda body: len(body["items"]) >= 2)
    assert {"at work", "10"} <= {line["message"] for line in found["items"]}
    return looks, connected, listening


def _trusting(cert: Path) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(cert))
