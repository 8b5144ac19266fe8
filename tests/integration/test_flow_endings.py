"""A flow returns when its function does; that it has ended is told behind all that it did, whoever comes between."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support import flow_process
from tests.support.flow_process import history, run_of, state, until_state, wait
from tests.support.up import Up

MANY = """
    import os
    from airside.sdk import flush

    @flow
    def inner():
        return step(0)

    @flow
    def {name}():
        for number in range(300):
            step(number)
        inner()

    {call}
"""


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """One server for this module."""
    server = Up(tmp_path_factory.mktemp("up"))
    yield server.start()
    server.stop()


def test_flush_waits_for_the_end_and_the_end_stands_behind_everything_before_it(up: Up, tmp_path: Path) -> None:
    body = MANY.format(name="flushed", call='flushed()\n    print("here", flush(30), flush=True)\n    told()')
    flow = flow_process.start(body, tmp_path, up.url)
    assert flow.until().endswith("here True\n")
    with up.client() as client:
        run = run_of(client, "flushed")
        end = state(client, run)
        assert (end["state"], end["seq"]) == ("completed", 2)
        wait(lambda: len(history(client, run)) == 2)
        inside = client.get("/api/events", params={"type": "*.completed", "limit": 1_000}).json()["items"]
        mine = [event for event in inside if any(one["id"].endswith(run) for one in event["related"])]
        assert len(mine) == 301
        assert all(event["position"] < end["position"] for event in mine)
    flow.go_on()
    assert flow.ended()[0] == 0


@pytest.mark.parametrize(
    ("name", "call"),
    [
        ("ended", "ended()"),
        ("forked", "if os.fork() == 0:\n        forked()\n        os._exit(0)\n    os.wait()"),
    ],
)
def test_the_end_of_the_process_waits_for_it(up: Up, tmp_path: Path, name: str, call: str) -> None:
    assert flow_process.start(MANY.format(name=name, call=call), tmp_path, up.url).ended()[0] == 0
    with up.client() as client:
        assert state(client, run_of(client, name))["state"] == "completed"


@pytest.mark.parametrize(
    ("command", "states"),
    [
        ("cancel", ["running", "cancelling", "completed"]),
        ("pause", ["running", "paused", "completed"]),
        ("crash", ["running", "crashed", "completed"]),
        ("cancel by force", ["running", "cancelled"]),
    ],
)
def test_what_others_want_at_the_last_moment_finds_the_run_ended(
    up: Up, tmp_path: Path, command: str, states: list[str]
) -> None:
    name = command.replace(" ", "-")
    flow = flow_process.start(
        f"""
        import httpx, os

        @flow(name="late-{name}")
        def late(command):
            client = httpx.Client(base_url=os.environ["AIRSIDE_URL"] + "/api/runs/" + current_flow().run.id)
            if command == "crash":
                answer = client.post("/states", json={{"state": "crashed", "expected": 1}})
            else:
                answer = client.post("/" + command.split()[0], json={{"force": True}} if " " in command else {{}})
            return answer.status_code

        print("value", late("{command}"), flush=True)
        """,
        tmp_path,
        up.url,
        AIRSIDE_HEARTBEAT="60",
    )
    assert flow.ended() == (0, "value 200\n")
    with up.client() as client:
        run = run_of(client, f"late-{name}")
        until_state(client, run, states[-1])
        wait(lambda: history(client, run) == states)
