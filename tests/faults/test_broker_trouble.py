"""A broker that is killed, that hangs, whose disk is full: nothing acknowledged is lost, and deciding goes on."""

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from tests.support.up import Up, settled

from airside.coordinator.nats_server import EmbeddedServer

RULE = """
automations:
  - name: answered
    trigger: {match: {type: order.placed}}
    actions: [{emit: {type: order.seen, resource: "order://1"}}]
"""


def post(client: httpx.Client, names: list[str], payload: str = "", kind: str = "thing.happened") -> bool:
    events = [{"id": name, "type": kind, "resource": "order://1", "payload": {"p": payload}} for name in names]
    try:
        return client.post("/api/events", json=events).status_code == 202
    except httpx.TransportError:
        return False


def stored(client: httpx.Client) -> set[str]:
    lines = client.get("/api/events/export").text.splitlines()
    return {line.split('"id":"', 1)[1].split('"', 1)[0] for line in lines}


def post_until_taken(client: httpx.Client, name: str, kind: str = "thing.happened") -> None:
    deadline = time.monotonic() + 60
    while not post(client, [name], kind=kind):
        assert time.monotonic() < deadline, "the log does not take events again"


def prove_well(up: Up, acknowledged: set[str]) -> None:
    """See that everything acknowledged is there, that rules fire and that their actions are carried out."""
    with up.client() as client:
        post_until_taken(client, "afterwards", kind="order.placed")
        up.until(lambda c: "order.seen" in c.get("/api/events?type=order.seen").text, 60)
        up.until(settled, 60)
        assert acknowledged | {"afterwards"} <= stored(client)
        assert client.get("/api/status").json()["damage"] is None


@pytest.fixture
def up(tmp_path: Path) -> Iterator[Up]:
    found = Up(tmp_path / "home").start()
    with found.client() as client:
        client.post("/api/automations", content=RULE, headers={"content-type": "application/yaml"}).raise_for_status()
    yield found
    found.stop()


def server_pid(up: Up) -> int:
    return int((up.home / "nats" / "server.pid").read_text())


def post_through(up: Up, fault: int, pid: int) -> set[str]:
    """Post before, during and after a signal to the broker; gives what was acknowledged."""
    acknowledged: set[str] = set()
    with up.client() as client:
        for number in range(12):
            if number == 4:
                os.kill(pid, fault)
            names = [f"e{number}-{n}" for n in range(20)]
            if post(client, names):
                acknowledged |= set(names)
            if number == 6 and fault == signal.SIGSTOP:
                up.until(lambda c: "has not answered for" in c.get("/ready").text)
                os.kill(pid, signal.SIGCONT)
    return acknowledged


@pytest.mark.parametrize("fault", [signal.SIGKILL, signal.SIGSTOP])
def test_an_embedded_server_that_is_killed_or_hangs_costs_nothing_acknowledged(up: Up, fault: int) -> None:
    acknowledged = post_through(up, fault, server_pid(up))
    assert len(acknowledged) >= 80
    prove_well(up, acknowledged)


@pytest.fixture
def elsewhere(nats_server: EmbeddedServer, tmp_path: Path) -> Iterator[Up]:
    found = Up(tmp_path / "home", {"AIRSIDE_NATS_URL": nats_server.url}).start()
    with found.client() as client:
        client.post("/api/automations", content=RULE, headers={"content-type": "application/yaml"}).raise_for_status()
    yield found
    found.stop()


@pytest.mark.parametrize("fault", [pytest.param(signal.SIGKILL, marks=pytest.mark.slow), signal.SIGSTOP])
def test_a_server_elsewhere_that_is_killed_or_hangs_costs_nothing_acknowledged(
    nats_server: EmbeddedServer, elsewhere: Up, fault: int
) -> None:
    assert nats_server._process is not None
    acknowledged = post_through(elsewhere, fault, nats_server._process.pid)
    if fault == signal.SIGKILL:
        nats_server._process.wait()
        elsewhere.until(lambda c: "has not answered for" in c.get("/ready").text)
        nats_server.start()
    prove_well(elsewhere, acknowledged)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=60m", "tmpfs", str(folder)]
    if os.geteuid() or subprocess.run(command, check=False, capture_output=True).returncode:
        pytest.skip("only root can mount a small disk")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.fixture
def cramped(small_disk: Path) -> Iterator[Up]:
    found = Up(small_disk / "home").start()
    with found.client() as client:
        client.post("/api/automations", content=RULE, headers={"content-type": "application/yaml"}).raise_for_status()
    yield found
    found.stop()


def test_a_full_disk_is_told_and_once_there_is_room_events_are_taken_again(cramped: Up, small_disk: Path) -> None:
    acknowledged: set[str] = set()
    filler = small_disk / "filler"
    with cramped.client() as client:
        assert post(client, ["first"])
        filler.write_bytes(bytes(os.statvfs(small_disk).f_bavail * os.statvfs(small_disk).f_frsize - 2_000_000))
        number = 0
        while True:
            names = [f"e{number}-{n}" for n in range(5)]
            number += 1
            if not post(client, names, os.urandom(11_000).hex()):
                break
            acknowledged |= set(names)
        cramped.until(lambda c: "the disk is full" in c.get("/ready").text)
        filler.unlink()
        prove_well(cramped, acknowledged | {"first"})
