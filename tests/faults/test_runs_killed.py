"""Flows whose process, or whose server, is killed: what becomes of the run, for real processes."""

import signal
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from tests.support import flow_process
from tests.support.flow_process import history, run_of, state, until_state, wait
from tests.support.up import Up

from airside.coordinator.nats_server import EmbeddedServer

BEAT = "resource.heartbeat"
STEPS = """
    @flow
    def stepping():
        step(0)
        told()
        step(1)
        return step(2)

    print("value", stepping(), flush=True)
"""

RULE = """
automations:
  - name: tell-of-crashes
    trigger: {match: {type: flow_run.crashed}}
    actions: [{emit: {type: crash.told, resource: "told://crashes"}}]
"""


def task_states(client: httpx.Client, run: str) -> dict[str, str]:
    children = client.get(f"/api/runs/run://airside/{run}").json()["children"]
    return {child["job_name"]: child["state"] for child in children}


def counted(up: Up, event_type: str) -> int:
    with up.client() as client:
        return int(client.get("/api/events/count", params={"type": event_type}).json()["count"])


def test_a_killed_flow_is_called_crashed_once_and_one_that_lives_is_not(up: Up, tmp_path: Path) -> None:
    up.start()
    killed = flow_process.start(STEPS, tmp_path / "one", up.url)
    lives = flow_process.start(STEPS.replace("stepping", "lasting"), tmp_path / "two", up.url)
    killed.until()
    lives.until()
    with up.client() as client:
        run, other = run_of(client, "stepping"), run_of(client, "lasting")
        wait(lambda: client.get("/api/events/count", params={"type": BEAT, "resource": f"*{run}"}).json()["count"] > 4)
        assert state(client, run)["state"] == "running"
        killed.kill()
        found = until_state(client, run, "crashed")
        assert found["event"]["payload"]["silent_seconds"] > 0.9  # three beats of 0.3 s, and not before
        lives.go_on()
        assert lives.ended() == (0, "value 2\n")
        assert until_state(client, other, "completed")["seq"] == 2
        assert history(client, run) == ["running", "crashed"]
    assert counted(up, "flow_run.crashed") == 1


def test_what_a_killed_flow_held_is_free_again_and_automations_see_it(up: Up, tmp_path: Path) -> None:
    up.start()
    with up.client() as client:
        client.post("/api/automations", content=RULE, headers={"content-type": "application/yaml"}).raise_for_status()
        client.put("/api/limits/warehouse", json={"slots": 1}).raise_for_status()
        holding = """
            from airside.sdk import concurrency

            @task
            def loads():
                with concurrency("warehouse", ttl=2):
                    told()

            @flow
            def holding():
                loads()

            holding()
        """
        killed = flow_process.start(holding, tmp_path / "one", up.url)
        killed.until()
        assert client.get("/api/limits/warehouse").json()["used"] == 1
        killed.kill()
        wait(lambda: client.get("/api/limits/warehouse").json()["used"] == 0)
        until_state(client, run_of(client, "holding"), "crashed")
        wait(lambda: counted(up, "crash.told") == 1)
        freed = flow_process.start(holding.replace("holding", "taking"), tmp_path / "two", up.url)
        freed.until()
        freed.go_on()
        assert freed.ended()[0] == 0


def test_the_tasks_of_a_killed_flow_are_called_crashed_and_those_that_ended_are_not(up: Up, tmp_path: Path) -> None:
    up.start()
    with up.client() as client:
        working = """
            @task
            def works():
                told()

            @flow
            def working():
                step(1)
                works()

            working()
        """
        killed = flow_process.start(working, tmp_path / "one", up.url)
        killed.until()
        run = run_of(client, "working")
        wait(lambda: task_states(client, run) == {"step": "completed", "works": "running"})
        killed.kill()
        crashed = until_state(client, run, "crashed")
        wait(lambda: task_states(client, run) == {"step": "completed", "works": "crashed"})
        told = client.get("/api/events", params={"type": "task_run.crashed"}).json()["items"]
        assert [event["causes"] for event in told] == [[crashed["event"]["id"]]]
        assert told[0]["time"] == crashed["event"]["time"]


def test_a_task_that_was_called_crashed_with_its_run_ends_as_its_process_says(up: Up, tmp_path: Path) -> None:
    up.start()
    with up.client() as client:
        working = """
            @task
            def works():
                told()

            @flow
            def working():
                works()

            working()
        """
        flow = flow_process.start(working, tmp_path / "one", up.url)
        flow.until()
        run = run_of(client, "working")
        wait(lambda: task_states(client, run) == {"works": "running"})
        flow.process.send_signal(signal.SIGSTOP)
        until_state(client, run, "crashed")
        wait(lambda: task_states(client, run) == {"works": "crashed"})
        flow.process.send_signal(signal.SIGCONT)
        flow.go_on()
        assert flow.ended()[0] == 0
        until_state(client, run, "completed")
        wait(lambda: task_states(client, run) == {"works": "completed"})


def test_two_coordinators_call_a_killed_flow_crashed_once(nats_server: EmbeddedServer, tmp_path: Path) -> None:
    both = [Up(tmp_path / name, {"AIRSIDE_NATS_URL": nats_server.url}) for name in ("first", "second")]
    try:
        for one in both:
            one.start()
        killed = flow_process.start(STEPS, tmp_path / "sdk", both[0].url)
        killed.until()
        with both[0].client() as client, both[1].client() as other:
            run = run_of(client, "stepping")
            wait(lambda: run_of(other, "stepping") == run)
            wait(lambda: other.get("/api/events/count", params={"type": BEAT}).json()["count"] > 2)
            killed.kill()
            crashed = until_state(client, run, "crashed")
            assert until_state(other, run, "crashed") == crashed
            for asked in (client, other):
                wait(lambda asked=asked: history(asked, run) == ["running", "crashed"])
        assert [counted(one, "flow_run.crashed") for one in both] == [1, 1]
    finally:
        for one in both:
            if one.process is not None:
                one.kill()


def test_a_flow_goes_on_without_its_server_and_its_whole_history_comes_later(up: Up, tmp_path: Path) -> None:
    up.start()
    flow = flow_process.start(STEPS, tmp_path / "sdk", up.url)
    flow.until()
    up.kill()
    flow.go_on()
    code, said = flow.ended()
    assert (code, said) == (0, "value 2\n")
    up.start()
    with up.client() as client:
        run = run_of(client, "stepping")
        assert state(client, run)["state"] == "running"
        later = flow_process.start('step.with_options(name="other")(1)', tmp_path / "sdk", up.url)
        assert later.ended()[0] == 0
        until_state(client, run, "completed")
        wait(lambda: client.get(f"/api/runs/run://airside/{run}").json()["state"] == "completed")
        shown = client.get(f"/api/runs/run://airside/{run}").json()
        assert history(client, run) == ["running", "completed"]
        assert [child["state"] for child in shown["children"]] == ["completed"] * 3
        events = client.get("/api/events", params={"limit": 200, "type": "task_run.*"}).json()["items"]
        end = state(client, run)
        mine = [event for event in events if any(one["id"].endswith(run) for one in event["related"])]
        assert len(mine) == 6
        assert all(event["position"] < end["position"] and event["time"] <= end["event"]["time"] for event in mine)
        assert len({event["id"] for event in mine}) == 6


def test_a_flow_that_begins_without_a_server_is_registered_with_its_true_times(up: Up, tmp_path: Path) -> None:
    up.start()
    up.stop()
    flow = flow_process.start(STEPS, tmp_path / "sdk", up.url)
    flow.until()
    back = datetime.now(UTC)
    up.start()
    with up.client() as client:
        run = run_of(client, "stepping")
        first = wait(lambda: client.get(f"/api/runs/run://airside/{run}").json())
        assert first["state"] == "running"
        flow.go_on()
        assert flow.ended() == (0, "value 2\n")
        until_state(client, run, "completed")
        assert history(client, run) == ["running", "completed"]
        started = client.get("/api/events", params={"type": "flow_run.running"}).json()["items"][0]
        assert datetime.fromisoformat(started["time"]) < back < datetime.fromisoformat(started["received"])


def test_a_run_that_was_called_crashed_while_it_was_cut_off_is_put_right(up: Up, tmp_path: Path) -> None:
    up.start()
    flow = flow_process.start(STEPS, tmp_path / "sdk", up.url)
    flow.until()
    with up.client() as client:
        run = run_of(client, "stepping")
        now = state(client, run)
        wrong = client.post(f"/api/runs/{run}/states", json={"state": "crashed", "expected": now["seq"]})
        assert wrong.status_code == 200
        until_state(client, run, "running")
        flow.go_on()
        assert flow.ended() == (0, "value 2\n")
        assert until_state(client, run, "completed")["seq"] == 4
        wait(lambda: history(client, run) == ["running", "crashed", "running", "completed"])


@pytest.mark.slow
def test_after_a_restart_of_the_plane_every_run_has_its_three_beats_anew(up: Up, tmp_path: Path) -> None:
    up.start()
    lives = flow_process.start(STEPS, tmp_path / "one", up.url)
    dies = flow_process.start(STEPS.replace("stepping", "dying"), tmp_path / "two", up.url)
    lives.until()
    dies.until()
    with up.client() as client:
        run, dead = run_of(client, "stepping"), run_of(client, "dying")
        for one in (run, dead):
            wanted = {"type": BEAT, "resource": f"*{one}"}
            wait(lambda wanted=wanted: client.get("/api/events/count", params=wanted).json()["count"])
    up.kill()
    dies.kill()
    up.start()
    with up.client() as client:
        until_state(client, dead, "crashed")
        assert state(client, run)["state"] == "running"
        lives.go_on()
        assert lives.ended() == (0, "value 2\n")
        until_state(client, run, "completed")
        assert history(client, run) == ["running", "completed"]
