"""Changes of runs are proposed and the log decides, on a real nats-server: one of any number of proposers wins."""

import asyncio
from collections import Counter
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import pytest

from airside.coordinator.coordinator import Coordinator
from airside.coordinator.runs import Proposals, RunChanged
from airside.coordinator.runs import present as presents
from airside.coordinator.server import running
from airside.coordinator.settings import ServerSettings
from airside.events.aliases import Aliases
from airside.events.log import Log
from airside.events.model import uuid7
from airside.events.run_states import State
from airside.events.wire import WireEvent, WireResource

Plane = tuple[Coordinator, httpx.AsyncClient]
_number = count()


async def propose(client: httpx.AsyncClient, run: str, state: str, expected: int, **more: Any) -> httpx.Response:
    return await client.post(f"/api/runs/{run}/states", json={"state": state, "expected": expected, **more})


def change(run: str, seq: int, state: State, word: str = "") -> WireEvent:
    resource = presents.resource_id(run)
    return WireEvent(
        id=presents.change_id(run, seq, word),
        type=f"flow_run.{state}",
        time=datetime.now(UTC),
        source="test",
        resource=WireResource(resource, "flow_run", "run"),
    )


async def test_a_run_goes_its_way_change_by_change(plane: Plane) -> None:
    run = uuid7()
    for seq, state in enumerate(("pending", "running", "retrying", "running", "completed")):
        answer = await propose(plane[1], run, state, seq)
        assert answer.status_code == 200, answer.text
        assert (answer.json()["state"], answer.json()["seq"]) == (state, seq + 1)
    shown = (await plane[1].get(f"/api/runs/{run}/state")).json()
    assert (shown["state"], shown["seq"], shown["cancel"]) == ("completed", 5, False)
    assert shown["event"]["id"] == f"{run}.5.completed"


async def test_of_fifty_racing_proposers_one_wins_and_each_other_learns_the_present_state(plane: Plane) -> None:
    run = uuid7()
    assert (await propose(plane[1], run, "running", 0)).status_code == 200
    wanted = ["completed", "failed", "cancelling", "paused", "crashed"] * 10
    ids = [f"{run}.2.{number}" for number in range(50)]
    answers = await asyncio.gather(
        *(propose(plane[1], run, state, 1, id=ident) for state, ident in zip(wanted, ids, strict=True))
    )
    assert Counter(answer.status_code for answer in answers) == {200: 1, 409: 49}
    winner = next(answer.json() for answer in answers if answer.status_code == 200)
    losers = [answer.json() for answer in answers if answer.status_code == 409]
    assert {(loser["state"], loser["seq"], loser["position"]) for loser in losers} == {
        (winner["state"], 2, winner["position"])
    }
    assert {loser["event"]["type"] for loser in losers} == {f"flow_run.{winner['state']}"}


async def test_of_fifty_that_begin_the_same_run_one_wins(plane: Plane) -> None:
    run = uuid7()
    answers = await asyncio.gather(
        *(propose(plane[1], run, "running", 0, id=f"{run}.1.{number}") for number in range(50))
    )
    assert Counter(answer.status_code for answer in answers) == {200: 1, 409: 49}


async def test_two_coordinators_at_once_accept_one_change_between_them(nats_server: Any, tmp_path: Path) -> None:
    def settings(name: str) -> ServerSettings:
        return ServerSettings(home=tmp_path / name, port=0, nats_url=nats_server.url)

    async with (
        running(settings("one")) as (_, first),
        running(settings("two")) as (_, second),
        httpx.AsyncClient(base_url=first, timeout=60) as one,
        httpx.AsyncClient(base_url=second, timeout=60) as two,
    ):
        for _ in range(5):
            run = uuid7()
            assert (await propose(one, run, "running", 0)).status_code == 200
            racing = [
                propose(one if number % 2 else two, run, "completed", 1, id=f"{run}.2.{number}") for number in range(20)
            ]
            answers = await asyncio.gather(*racing)
            assert Counter(answer.status_code for answer in answers) == {200: 1, 409: 19}
            assert (await two.get(f"/api/runs/{run}/state")).json()["seq"] == 2


async def test_the_same_proposal_twice_is_one_change(plane: Plane) -> None:
    run, when = uuid7(), "2026-11-22T09:00:00.123456Z"
    first = await propose(plane[1], run, "running", 0, id=f"{run}.1", time=when)
    second = await propose(plane[1], run, "running", 0, id=f"{run}.1", time=when)
    assert first.json() == second.json()
    other = await propose(plane[1], run, "running", 0, id=f"{run}.1", time="2026-11-22T09:00:00.123457Z")
    assert other.status_code == 409


async def test_an_id_that_another_proposer_used_for_the_same_number_is_refused_not_taken_for_done(log: Log) -> None:
    proposals, run = Proposals(log, Aliases({})), uuid7()
    outcomes = await asyncio.gather(
        proposals.propose(change(run, 1, State.RUNNING), State.RUNNING, 0),
        proposals.propose(change(run, 1, State.PENDING), State.PENDING, 0),
        return_exceptions=True,
    )
    assert sum(isinstance(outcome, RunChanged) for outcome in outcomes) == 1


async def test_nobody_can_take_the_ids_of_the_plane_s_own_changes(plane: Plane) -> None:
    run = uuid7()
    assert (await propose(plane[1], run, "running", 0)).status_code == 200
    for identifier in (f"{run}.2.cancelling", f"run://other/{run}.2.cancelled"):
        event = {"id": identifier, "type": "x.y", "resource": "x://1"}
        assert (await plane[1].post("/api/events", json=event)).status_code == 422
    assert (await plane[1].post(f"/api/runs/{run}/cancel")).status_code in (200, 202)


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"state": "running"}, "expected"),
        ({"state": "running", "expected": -1}, "expected"),
        ({"state": "running", "expected": 2**31}, "expected"),
        ({"state": "running", "expected": True}, "expected"),
        ({"state": "jumping", "expected": 0}, "state"),
        ({"state": "cached", "expected": 0}, "state"),
        ({"state": ["running"], "expected": 0}, "state"),
        ({"expected": 0}, "state"),
        ({"state": "running", "expected": 0, "payload": [1]}, "payload"),
        ({"state": "running", "expected": 0, "id": "somebody-else.1"}, "id"),
        ({"state": "running", "expected": 0, "resource": "run://airside/other"}, "resource.id"),
        ({"state": "running", "expected": 0, "workspace": "theirs"}, "workspace"),
        ({"state": "running", "expected": 0, "time": "yesterday"}, "time"),
        ({"state": "running", "expected": 0, "payload": {"by": "alice"}}, "payload.by"),
        ({"state": "running", "expected": 0, "payload": {"audit": {}}}, "payload.audit"),
        ({"state": "running", "expected": 0, "source": "airside://runs"}, "source"),
    ],
)
async def test_a_bad_proposal_is_refused_naming_the_field(plane: Plane, given: dict[str, Any], field: str) -> None:
    run = uuid7()
    answer = await plane[1].post(f"/api/runs/{run}/states", json=given)
    assert answer.status_code == 422
    assert [problem["field"] for problem in answer.json()["problems"]] == [field]
    assert (await plane[1].get(f"/api/runs/{run}/state?after=0")).status_code == 404


async def test_what_the_table_does_not_allow_is_refused_with_the_present_state(plane: Plane) -> None:
    run = uuid7()
    refused = await propose(plane[1], run, "completed", 0)
    assert (refused.status_code, refused.json()["state"]) == (409, None)
    await propose(plane[1], run, "running", 0)
    await propose(plane[1], run, "completed", 1)
    refused = await propose(plane[1], run, "running", 2)
    assert (refused.status_code, refused.json()["state"], refused.json()["seq"]) == (409, "completed", 2)
    assert "completed changes to nothing" in refused.json()["detail"]


async def test_a_late_history_is_taken_in_order_and_once_and_corrects_a_crash(plane: Plane) -> None:
    client, run = plane[1], uuid7()
    await propose(client, run, "running", 0, id=f"{run}.1", time="2026-11-22T09:00:00Z")
    assert (await propose(client, run, "crashed", 1)).status_code == 200
    resource = {"id": f"run://airside/{run}", "kind": "flow_run"}
    late = [
        {"id": f"{run}.{seq}", "type": f"flow_run.{state}", "time": when, "resource": resource, "payload": {"seq": seq}}
        for seq, state, when in [
            (2, "retrying", "2026-11-22T09:01:00Z"),
            (3, "running", "2026-11-22T09:02:00Z"),
            (4, "completed", "2026-11-22T09:03:00Z"),
        ]
    ]
    for accepted, duplicates in ((3, 0), (0, 3)):
        answer = (await client.post("/api/runs/states", json=late)).json()
        assert (answer["accepted"], answer["duplicates"]) == (accepted, duplicates)
    shown = (await client.get(f"/api/runs/{run}/state")).json()
    assert (shown["state"], shown["seq"]) == ("completed", 4)
    await plane[0].projector.settled(shown["position"])
    row = (await client.get(f"/api/runs/run://airside/{run}")).json()
    assert (row["state"], row["ended"]) == ("completed", "2026-11-22T09:03:00Z")
    assert [event["type"].partition(".")[2] for event in row["events"]] == [
        "running",
        "crashed",
        "retrying",
        "running",
        "completed",
    ]


async def test_a_late_history_that_no_run_can_have_is_refused_whole(plane: Plane) -> None:
    run = uuid7()

    def one(seq: Any, state: str, **more: Any) -> dict[str, Any]:
        resource = {"id": f"run://airside/{run}", "kind": "task_run"}
        return {"id": f"{run}.{seq}", "type": state, "resource": resource, "payload": {"seq": seq, **more}}

    answer = await plane[1].post(
        "/api/runs/states",
        json=[
            one(1, "task_run.running"),
            one(2, "task_run.completed"),
            one(3, "task_run.running"),
            one(3, "task_run.failed"),
            one(5, "task_run.running", previous="completed"),
            one("x", "task_run.failed"),
            one(9, "table.updated"),
            one(11, "task_run.failed", previous={"state": "running"}),
            one(2**31 + 1, "task_run.failed"),
        ],
    )
    assert answer.status_code == 422
    assert [problem["field"] for problem in answer.json()["problems"]] == [
        "2.type",
        "3.payload.seq",
        "4.type",
        "5.payload.seq",
        "6.type",
        "7.payload.previous",
        "8.payload.seq",
    ]
    await plane[0].projector.settled((await plane[0].log.head()).last)
    assert (await plane[1].get("/api/events/count?type=task_run.*")).json()["count"] == 0


async def test_a_list_of_too_many_changes_or_a_proposal_of_megabytes_is_refused_undecoded(plane: Plane) -> None:
    many = await plane[1].post("/api/runs/states", json=[{}] * 1_001)
    assert (many.status_code, many.json()["problems"][0]["message"]) == (422, "more than 1,000 changes")
    large = {"state": "running", "expected": 0, "payload": {"text": "x" * 600_000}}
    assert (await plane[1].post(f"/api/runs/{uuid7()}/states", json=large)).status_code == 413


async def test_who_waits_for_a_change_is_answered_as_it_comes(plane: Plane) -> None:
    client, run = plane[1], uuid7()
    await propose(client, run, "running", 0)
    waiting = asyncio.create_task(client.get(f"/api/runs/{run}/state?after=1&wait=15"))
    done, _ = await asyncio.wait({waiting}, timeout=0.3)
    assert not done
    await propose(client, run, "paused", 1)
    answer = (await asyncio.wait_for(waiting, 12)).json()
    assert (answer["state"], answer["seq"]) == ("paused", 2)
    at_once = (await client.get(f"/api/runs/{run}/state?after=1&wait=15")).json()
    assert at_once["seq"] == 2
    unchanged = (await client.get(f"/api/runs/{run}/state?after=2&wait=0.05")).json()
    assert unchanged["seq"] == 2
