"""Cancelling, pausing, answering and retrying runs, with real flow processes and with the command line."""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.support import flow_process
from tests.support.flow_process import history, run_of, state, until_state, wait
from tests.support.up import AIRSIDE, Up

ASKING = """
    from pydantic import BaseModel, Field, field_validator
    from airside.sdk.flows.approval import Unanswered, pause

    class Approval(BaseModel):
        approved: bool
        rows: int = Field(ge=1)
        by: str = "nobody"

        @field_validator("by")
        @classmethod
        def known(cls, name):
            if name == "stranger":
                raise ValueError("is not known")
            return name

    @flow
    def asking():
        answer = pause(Approval, message="Load it?", timeout={timeout})
        return step(answer.rows), answer.by

    try:
        print("value", asking(), flush=True)
    except Unanswered as error:
        print("unanswered", error, flush=True)
"""


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """One server for this module."""
    server = Up(tmp_path_factory.mktemp("up"))
    yield server.start()
    server.stop()


def cli(up: Up, *words: str) -> "subprocess.CompletedProcess[str]":
    environment = {**os.environ, "AIRSIDE_URL": up.url}
    return subprocess.run(
        [AIRSIDE, "runs", *words], env=environment, capture_output=True, text=True, timeout=60, check=False
    )


def propose(client: httpx.Client, run: str, word: str, expected: int, **more: Any) -> httpx.Response:
    return client.post(f"/api/runs/{run}/states", json={"state": word, "expected": expected, **more})


def test_a_stuck_flow_is_stopped_and_says_who_did_it(up: Up, tmp_path: Path) -> None:
    flow = flow_process.start(
        """
        @task
        def stuck():
            print("here", flush=True)
            time.sleep(600)

        @flow
        def hanging():
            stuck()

        hanging()
        """,
        tmp_path,
        up.url,
    )
    flow.until()
    with up.client() as client:
        run = run_of(client, "hanging")
        done = cli(up, "cancel", run, "--reason", "wrong day", "--json")
        assert (done.returncode, json.loads(done.stdout)["state"]) == (0, "cancelling")
        code, _ = flow.ended()
        assert code != 0
        assert until_state(client, run, "cancelled")["event"]["payload"]["message"] == "the run was cancelled by local"
        wait(lambda: history(client, run) == ["running", "cancelling", "cancelled"])
        tasks = client.get("/api/runs", params={"parent": f"run://airside/{run}"}).json()["items"]
        assert [task["state"] for task in tasks] == ["cancelled"]
        asked = client.get("/api/events", params={"type": "flow_run.cancelling"}).json()["items"][0]
        assert (asked["payload"]["by"], asked["payload"]["message"]) == ("local", "wrong day")


def test_a_flow_whose_code_no_exception_reaches_is_killed_after_its_grace(up: Up, tmp_path: Path) -> None:
    flow = flow_process.start(
        """
        @flow
        def deaf():
            print("here", flush=True)
            while True:
                try:
                    time.sleep(600)
                except BaseException:
                    pass

        deaf()
        """,
        tmp_path,
        up.url,
        AIRSIDE_CANCEL_GRACE="1",
    )
    flow.until()
    with up.client() as client:
        run = run_of(client, "deaf")
        assert cli(up, "cancel", run).returncode == 0
        code, _ = flow.ended()
        assert code == -9
        assert "did not stop within 1 s" in until_state(client, run, "cancelled")["event"]["payload"]["message"]


def test_a_paused_flow_is_answered_and_a_wrong_answer_names_the_fields(up: Up, tmp_path: Path) -> None:
    flow = flow_process.start(ASKING.format(timeout=60), tmp_path, up.url)
    with up.client() as client:
        run = run_of(client, "asking")
        asked = until_state(client, run, "paused")["event"]["payload"]
        assert (asked["message"], sorted(asked["schema"]["required"])) == ("Load it?", ["approved", "rows"])
        refused = cli(up, "resume", run, "--input", "approved=perhaps", "--input", "rows=0", "--input", "who=me")
        assert refused.returncode == 1
        assert "input.approved: must be boolean" in refused.stderr
        assert "input.rows: does not satisfy minimum: 1" in refused.stderr
        assert "input.who: is not asked for" in refused.stderr
        assert state(client, run)["state"] == "paused"
        done = cli(up, "resume", run, "--input", "approved=true", "--input", "rows=7", "--input", "by=12", "--json")
        assert (done.returncode, json.loads(done.stdout)["state"]) == (0, "resumed")
        assert flow.ended() == (0, "value (7, '12')\n")
        wait(lambda: history(client, run) == ["running", "paused", "resumed", "running", "completed"])


def test_an_answer_that_only_the_model_itself_refuses_is_asked_for_again(up: Up, tmp_path: Path) -> None:
    flow = flow_process.start(ASKING.format(timeout=60).replace("asking", "doubting"), tmp_path, up.url)
    with up.client() as client:
        run = run_of(client, "doubting")
        until_state(client, run, "paused")
        answer = {"approved": True, "rows": 1, "by": "stranger"}
        assert client.post(f"/api/runs/{run}/resume", json={"input": answer}).status_code == 200
        again = wait(lambda: found if (found := state(client, run))["seq"] == 5 else None)
        assert (again["state"], "by: Value error, is not known" in again["event"]["payload"]["message"]) == (
            "paused",
            True,
        )
        assert "stranger" not in json.dumps(again["event"]["payload"]["message"])
        assert client.post(f"/api/runs/{run}/resume", json={"input": {**answer, "by": "me"}}).status_code == 200
        assert flow.ended() == (0, "value (1, 'me')\n")


def test_a_flow_that_nobody_answers_in_time_fails_saying_so(up: Up, tmp_path: Path) -> None:
    flow = flow_process.start(ASKING.format(timeout=0.5).replace("asking", "lonely"), tmp_path, up.url)
    assert flow.ended() == (0, "unanswered nobody answered within 0.5 s: Load it?\n")
    with up.client() as client:
        run = run_of(client, "lonely")
        failed = until_state(client, run, "failed")["event"]["payload"]
        assert failed["error"]["message"] == "nobody answered within 0.5 s: Load it?"
        late = cli(up, "resume", run, "--input", "approved=true")
        assert late.returncode == 1
        assert "the run is failed" in late.stderr


def test_a_paused_flow_can_be_cancelled(up: Up, tmp_path: Path) -> None:
    flow = flow_process.start(ASKING.format(timeout=60).replace("asking", "unwanted"), tmp_path, up.url)
    with up.client() as client:
        run = run_of(client, "unwanted")
        until_state(client, run, "paused")
        assert cli(up, "cancel", run).returncode == 0
        assert flow.ended()[0] != 0
        until_state(client, run, "cancelled")


HELD = {
    "held": """
        @flow
        def held():
            step(0)
            told()
            return step(1)

        print("value", held(), flush=True)
        """,
    "held-coroutine": """
        import asyncio

        @task
        async def later(number):
            return number

        @flow
        async def held_coroutine():
            await later(0)
            await asyncio.to_thread(told)
            one, two = later.submit(1), later(1)
            assert await two == await one
            return await one

        print("value", asyncio.run(held_coroutine()), flush=True)
        """,
    "held-inside": """
        @flow
        def inner():
            return step(1)

        @flow
        def held_inside():
            step(0)
            told()
            return inner()

        print("value", held_inside(), flush=True)
        """,
}


@pytest.mark.parametrize("name", HELD)
def test_a_run_that_somebody_pauses_begins_no_task_until_it_is_resumed(up: Up, tmp_path: Path, name: str) -> None:
    flow = flow_process.start(HELD[name], tmp_path, up.url)
    flow.until()
    with up.client() as client:
        run = run_of(client, name)
        assert cli(up, "pause", run).returncode == 0
        # The process has asked again since, so it knows.
        beats = {"type": "resource.heartbeat", "resource": f"*{run}"}
        before = client.get("/api/events/count", params=beats).json()["count"]
        wait(lambda: client.get("/api/events/count", params=beats).json()["count"] > before + 2)
        flow.go_on()
        before = client.get("/api/events/count", params=beats).json()["count"]
        wait(lambda: client.get("/api/events/count", params=beats).json()["count"] > before + 2)
        parts = client.get("/api/runs", params={"parent": f"run://airside/{run}"}).json()["items"]
        assert [part["state"] for part in parts if part["state"] != "pending"] == ["completed"]
        assert cli(up, "resume", run).returncode == 0
        assert flow.ended() == (0, "value 1\n")
        until_state(client, run, "completed")
        wait(lambda: history(client, run) == ["running", "paused", "resumed", "running", "completed"])
        begun = client.get("/api/events", params={"type": "task_run.running", "limit": 100}).json()["items"]
        mine = [event for event in begun if any(one["id"].endswith(run) for one in event["related"])]
        after = client.get("/api/events", params={"type": "flow_run.resumed", "resource": f"*{run}"}).json()["items"]
        assert [event["time"] > after[0]["time"] for event in reversed(mine)] == [False] + [True] * (len(mine) - 1)


def test_a_flow_without_a_server_cannot_wait_for_people_and_says_so(tmp_path: Path) -> None:
    body = """
        from airside.sdk.flows.approval import pause

        @flow
        def alone():
            pause()

        try:
            alone()
        except Exception as error:
            print(type(error).__name__, error, flush=True)
    """
    code, said = flow_process.start(body, tmp_path, "").ended()
    assert (code, said.split()[0]) == (0, "NeedsServer")
    assert "AIRSIDE_URL" in said


def test_a_run_without_a_process_is_cancelled_at_once_and_with_force_any_is(up: Up) -> None:
    with up.client() as client:
        for word, force, comes in [("scheduled", False, "cancelled"), ("running", True, "cancelled")]:
            run = f"01939f6e-9a52-7c50-9a3c-{len(word):012d}"
            assert propose(client, run, word, 0).status_code == 200
            done = client.post(f"/api/runs/{run}/cancel", json={"force": force})
            assert (done.status_code, done.json()["state"], done.json()["seq"]) == (200, comes, 2)
            assert client.post(f"/api/runs/{run}/cancel").status_code == 409


def test_commands_to_runs_that_are_not_there_or_cannot_follow_say_so(up: Up) -> None:
    unknown = cli(up, "cancel", "01939f6e-9a52-7c50-9a3c-00000000ffff")
    assert unknown.returncode == 1
    assert "No change of a flow run of this id" in unknown.stderr
    with up.client() as client:
        run = "01939f6e-9a52-7c50-9a3c-0000000000aa"
        propose(client, run, "running", 0)
        assert client.post(f"/api/runs/{run}/retry").json()["detail"].startswith("the run is running")
        propose(client, run, "failed", 1)
        refused = cli(up, "retry", run)
        assert refused.returncode == 1
        assert "call the flow once more" in refused.stderr
        assert client.post(f"/api/runs/{run}/resume", json={"input": {"a": 1}}).status_code == 409


def test_a_run_of_a_deployment_is_scheduled_anew(up: Up) -> None:
    with up.client() as client:
        run = "01939f6e-9a52-7c50-9a3c-0000000000bb"
        client.post("/api/deployments", json={"name": "prod", "flow": "f", "entrypoint": "f.py:f"})
        related = [{"id": "flow://f", "role": "flow"}, {"id": "deployment://f/prod", "role": "deployment"}]
        propose(client, run, "running", 0, related=related)
        propose(client, run, "failed", 1, related=related)
        done = client.post(f"/api/runs/{run}/retry")
        assert (done.status_code, done.json()["state"]) == (201, "scheduled")
        new = state(client, done.json()["id"].rpartition("/")[2])["event"]
        assert {(one["role"], one["id"]) for one in new["related"]} == {
            ("flow", "flow://f"),
            ("deployment", "deployment://f/prod"),
            ("queue", "queue://default"),
            ("retry_of", f"run://airside/{run}"),
        }
