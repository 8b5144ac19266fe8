"""Acting on an Airflow. A receiver on loopback answers as Airflow does; tests/integration/airflow asks a real one."""

import json
from typing import Any

import pytest
from tests.support.actions import attempt_of, settings
from tests.support.receiver import Receiver, http, receiver

from airside.coordinator.actions import KINDS, ActionContext, ActionRefused, ActionRetry, problems

FIRING: dict[str, Any] = {"id": "f00d", "automation": "late", "reason": "no table.updated by 09:00", "actions": []}


def attempt(at: Receiver, kind: str, environment: dict[str, str] | None = None, **parameters: Any) -> ActionContext:
    known = {"AIRSIDE_AIRFLOW_URL": at.url, "AIRSIDE_AIRFLOW_TOKEN": "t0ken"}
    return attempt_of(kind, parameters, settings(environment=known if environment is None else environment), FIRING)


async def act(airflow: Receiver, kind: str, **parameters: Any) -> dict[str, Any]:
    return await KINDS[kind].run(attempt(airflow, kind, **parameters))


async def test_a_run_is_started_under_an_id_made_from_the_action_s() -> None:
    async with receiver(http(200, b'{"state": "queued"}')) as airflow:
        conf = {"why": "{{ firing.reason }}", "n": 3}
        result = await act(airflow, "trigger_dag", dag="load sales", conf=conf)
    [asked] = airflow.received
    assert (asked.method, asked.path) == ("POST", "/api/v2/dags/load%20sales/dagRuns")
    assert asked.headers["authorization"] == "Bearer t0ken"
    body = json.loads(asked.body)
    assert body["dag_run_id"] == "airside__f00d.0"
    assert body["logical_date"] is None
    assert body["conf"] == {"why": "no table.updated by 09:00", "n": 3}
    assert result == {"dag": "load sales", "run_id": "airside__f00d.0"}


async def test_a_repeat_that_airflow_refuses_is_done_if_the_run_is_there() -> None:
    async with receiver(http(409, b"{}"), http(200, b'{"state": "running"}')) as airflow:
        result = await act(airflow, "trigger_dag", dag="load")
    assert airflow.received[1].path == "/api/v2/dags/load/dagRuns/airside__f00d.0"
    assert result["repeated"] is True


async def test_a_conflict_without_our_run_is_no_success() -> None:
    async with receiver(http(409, b"{}"), http(404, b'{"detail": "no such run"}')) as airflow:
        with pytest.raises(ActionRefused, match="404"):
            await act(airflow, "trigger_dag", dag="load")


@pytest.mark.parametrize(("kind", "is_paused"), [("pause_dag", True), ("unpause_dag", False)])
async def test_a_dag_is_paused_and_let_go_on(kind: str, is_paused: bool) -> None:
    async with receiver(http(200, b"{}")) as airflow:
        await act(airflow, kind, dag="load")
    [asked] = airflow.received
    assert (asked.method, asked.path) == ("PATCH", "/api/v2/dags/load?update_mask=is_paused")
    assert json.loads(asked.body) == {"is_paused": is_paused}


async def test_a_run_that_ended_is_cleared_and_one_that_goes_on_is_left_alone() -> None:
    async with receiver(
        http(200, b'{"state": "failed", "note": "look"}'), http(200, b"{}"), http(200, b'{"state":"queued"}')
    ) as airflow:
        run_id = "manual__2026-11-22T05:47:36+00:00"
        cleared = await act(airflow, "clear_dag_run", dag="load", run_id=run_id, only_failed=True)
        again = await act(airflow, "clear_dag_run", dag="load", run_id=run_id)
    assert (cleared["cleared"], again["cleared"]) == (True, False)
    assert [asked.method for asked in airflow.received] == ["GET", "POST", "GET"]
    assert airflow.received[1].path == "/api/v2/dags/load/dagRuns/manual__2026-11-22T05%3A47%3A36%2B00%3A00/clear"
    wanted = {"dry_run": False, "only_failed": True, "note": "look\nairside__f00d.0"}
    assert json.loads(airflow.received[1].body) == wanted


async def test_a_run_that_this_action_cleared_and_that_ended_since_is_not_cleared_again() -> None:
    answer = http(200, b'{"state": "success", "note": "airside__f00d.0"}')
    async with receiver(answer) as airflow:
        result = await act(airflow, "clear_dag_run", dag="load", run_id="one")
    assert (len(airflow.received), result["cleared"]) == (1, False)


async def test_it_logs_in_once_with_user_and_password_and_anew_when_the_token_is_over() -> None:
    token = http(201, b'{"access_token": "jwt"}')
    async with receiver(token, http(200, b"{}"), http(401, b"{}"), token, http(200, b"{}")) as airflow:
        known = {
            "AIRSIDE_AIRFLOW_PROD_URL": airflow.url,
            "AIRSIDE_AIRFLOW_PROD_USER": "ada",
            "AIRSIDE_AIRFLOW_PROD_PASSWORD": "pw",
        }
        given = attempt(airflow, "pause_dag", known, dag="load", airflow="prod")
        await KINDS["pause_dag"].run(given)
        with pytest.raises(ActionRetry, match="401"):
            await KINDS["pause_dag"].run(given)
        await KINDS["pause_dag"].run(given)
    assert [asked.path.partition("?")[0] for asked in airflow.received] == [
        "/auth/token",
        "/api/v2/dags/load",
        "/api/v2/dags/load",
        "/auth/token",
        "/api/v2/dags/load",
    ]
    assert airflow.received[4].headers["authorization"] == "Bearer jwt"


async def test_an_airflow_that_is_not_set_up_says_which_variables_are_missing() -> None:
    async with receiver() as airflow:
        with pytest.raises(ActionRefused, match="AIRSIDE_AIRFLOW_STAGE_URL"):
            await KINDS["pause_dag"].run(attempt(airflow, "pause_dag", dag="load", airflow="stage"))
    assert airflow.received == []


@pytest.mark.parametrize("dag", ["{{ '~' }}", "{{ '..' }}", "{{ '' }}"])
async def test_a_template_cannot_name_all_dags_or_another_path(dag: str) -> None:
    async with receiver() as airflow:
        with pytest.raises(ActionRefused, match="names no dag"):
            await act(airflow, "clear_dag_run", dag=dag, run_id="one")
    assert airflow.received == []


async def test_what_may_pass_is_tried_again_and_what_will_not_is_told() -> None:
    async with receiver(http(503, b"busy"), http(404, b'{"detail": "The Dag was not found"}')) as airflow:
        with pytest.raises(ActionRetry, match="503"):
            await act(airflow, "trigger_dag", dag="load")
        with pytest.raises(ActionRefused, match="was not found"):
            await act(airflow, "trigger_dag", dag="load")


def test_lint_finds_names_that_are_none() -> None:
    document = {"actions": [{"pause_dag": {"dag": "~", "airflow": "https://airflow.example"}}], "on_resolve": []}
    assert [path for path, _ in problems(document)] == ["actions.0.pause_dag.airflow", "actions.0.pause_dag.dag"]
