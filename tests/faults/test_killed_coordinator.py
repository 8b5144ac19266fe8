"""What was acknowledged is there after kill -9, each event once, and the firings are those of an undisturbed run."""

import os
import signal
import subprocess
import threading
import time

import httpx
import pytest
from tests.support.up import AIRSIDE, Up, alive, settled

from airside.events.model import uuid7

RULES = """
- name: each-tenth
  trigger:
    match: {type: step.done}
    count: 10
    within: 1h
    for_each: [resource.id]
  actions:
    - emit: {type: tenth.done, resource: "{{ key.resource.id }}"}
"""
YAML = {"content-type": "application/yaml"}


def lines(first: int, count: int) -> str:
    return "\n".join(
        f'{{"id":"e{n}","type":"step.done","resource":"step://{n % 7}","payload":{{"n":{n}}}}}'
        for n in range(first, first + count)
    )


def post_all(up: Up, total: int, size: int, posted: list[int]) -> None:
    """Post events in order; a post without an answer is sent again, as every sender does."""
    first = 0
    while first < total:
        try:
            with up.client() as client:
                while first < total:
                    answer = client.post(
                        "/api/events",
                        content=lines(first, size),
                        headers={"content-type": "application/x-ndjson"},
                    )
                    answer.raise_for_status()
                    first += size
                    posted.append(first)
        except httpx.HTTPError:
            time.sleep(0.05)


def firings(client: httpx.Client) -> set[tuple[str, str]]:
    """Read what fired: the key and the ids of the events that counted."""
    found = set()
    cursor = None
    while True:
        page = client.get(
            "/api/automations/each-tenth/firings",
            params={"limit": 200, **({"cursor": cursor} if cursor else {})},
        ).json()
        for item in page["items"]:
            events = ",".join(event["id"] for event in item["events"])
            found.add((item["key"]["resource"]["id"], events))
        cursor = page["next"]
        if cursor is None:
            return found


def expected(total: int) -> set[tuple[str, str]]:
    """Say what fires without any disturbance: each tenth event of a step."""
    found = set()
    for step in range(7):
        events = [f"e{n}" for n in range(total) if n % 7 == step]
        for start in range(0, len(events) - 9, 10):
            found.add((f"step://{step}", ",".join(events[start : start + 10])))
    return found


@pytest.mark.timeout(400)
def test_kill_9_in_the_middle_of_ten_thousand_events(up: Up) -> None:
    total = 10_000
    up.start()
    with up.client() as client:
        client.post("/api/automations", content=RULES, headers=YAML).raise_for_status()
    posted: list[int] = []
    sender = threading.Thread(target=post_all, args=(up, total, 100, posted))
    sender.start()
    for goal in (2_000, 5_000, 8_000):
        while not posted or posted[-1] < goal:
            time.sleep(0.01)
        up.kill()
        up.start()
    sender.join(60)
    assert not sender.is_alive()
    up.until(settled)
    with up.client() as client:
        rows = client.post(
            "/api/query",
            json={"sql": "select count(*), count(distinct id) from events where type = 'step.done'"},
        ).json()["rows"]
        assert rows == [[total, total]]
        assert firings(client) == expected(total)
        wanted = len(expected(total))

        def emitted(_: httpx.Client) -> bool:
            return bool(client.get("/api/events/count", params={"type": "tenth.done"}).json()["count"] >= wanted)

        up.until(emitted, 60)  # what was being acted on comes again after ten seconds
        assert client.get("/api/events/count", params={"type": "tenth.done"}).json()["count"] == wanted
    assert up.stop() == 0


def test_a_killed_coordinator_leaves_no_server_that_the_next_start_cannot_deal_with(up: Up) -> None:
    up.start()
    pid = int((up.home / "nats" / "server.pid").read_text())
    up.kill()
    up.start()
    again = int((up.home / "nats" / "server.pid").read_text())
    assert again != pid
    assert not alive(pid)
    assert up.stop() == 0
    deadline = time.monotonic() + 60
    while alive(again):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_second_start_on_the_same_home_says_who_has_it_and_exits_2(up: Up) -> None:

    up.start()
    second = subprocess.run(
        [AIRSIDE, "up", "--home", str(up.home), "--port", up.url.rpartition(":")[2]],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert second.returncode == 2
    assert str(up.home) in second.stderr
    assert up.url in second.stderr
    with up.client() as client:
        assert client.get("/ready").status_code == 200


def test_a_killed_nats_server_is_started_again_and_nothing_acknowledged_is_lost(up: Up) -> None:
    up.start()
    with up.client() as client:
        ids = [uuid7() for _ in range(50)]
        for name in ids[:25]:
            event = {"id": name, "type": "a.b", "resource": "x://y"}
            assert client.post("/api/events", json=event).status_code == 202

        os.kill(int((up.home / "nats" / "server.pid").read_text()), signal.SIGKILL)
        for name in ids[25:]:
            event = {"id": name, "type": "a.b", "resource": "x://y"}
            assert client.post("/api/events", json=event).status_code == 202
    up.until(settled)
    with up.client() as client:
        found = [item["id"] for item in client.get("/api/events", params={"limit": 100}).json()["items"]]
    assert sorted(found) == sorted(ids)
