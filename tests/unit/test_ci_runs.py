"""Runs of GitHub Actions, GitLab CI and the dbt platform, from delivery to fact."""

from datetime import UTC, datetime
from typing import Any

import pytest
from tests.unit.test_hooks_presets import become, read

from airside.events import run_facts
from airside.events.run_facts import RunFact
from airside.events.wire import Micros, from_micros


def fact(preset: str, body: Any, **headers: str) -> RunFact:
    (event,) = become(preset, body, **headers)
    found = run_facts.of(event)
    assert found is not None
    return found


def workflow_run(**changed: Any) -> dict[str, Any]:
    body = read("github_workflow_run.json")
    return {**body, "workflow_run": {**body["workflow_run"], **changed}}


def shown(moment: Micros | None) -> str | None:
    return from_micros(moment).strftime("%H:%M:%S") if moment is not None else None


def test_a_workflow_s_run_begins_and_ends_and_can_be_opened() -> None:
    done = fact("github", workflow_run(), x_github_event="workflow_run")
    assert (done.run, done.job, done.job_name, done.name) == (
        "run://github/shop/etl/30433642",
        "github://shop/etl/workflow/159038",
        "Build",
        "#562",
    )
    assert (done.source, done.kind, done.state, done.attempt) == ("github", "run", "failed", 1)
    assert (shown(done.started), shown(done.ended)) == ("09:00:01", "09:04:12")
    assert done.url == "https://github.com/shop/etl/actions/runs/30433642"
    begun = {**workflow_run(conclusion=None, status="in_progress"), "action": "in_progress"}
    first = fact("github", begun, x_github_event="workflow_run")
    assert (first.run, first.state, first.ended) == (done.run, "running", None)
    assert first.order < done.order


def test_a_workflow_that_is_run_again_begins_its_run_anew() -> None:
    ended = fact("github", workflow_run(), x_github_event="workflow_run")
    again = {**workflow_run(conclusion=None, run_attempt=2), "action": "requested"}
    waiting = fact("github", again, x_github_event="workflow_run")
    assert (waiting.run, waiting.state, waiting.started) == (ended.run, "scheduled", None)
    assert waiting.order > ended.order


@pytest.mark.parametrize(
    ("conclusion", "state"), [("success", "completed"), ("cancelled", "cancelled"), ("action_required", "paused")]
)
def test_how_a_workflow_ended_is_a_state(conclusion: str, state: str) -> None:
    assert fact("github", workflow_run(conclusion=conclusion), x_github_event="workflow_run").state == state


def test_a_workflow_without_a_name_of_its_run_has_that_of_its_file() -> None:
    body = {**workflow_run(name=""), "workflow": {"name": "nightly"}}
    assert fact("github", body, x_github_event="workflow_run").job_name == "nightly"


def test_a_job_is_a_part_of_its_workflow_s_run() -> None:
    job = fact("github", read("github_workflow_job.json"), x_github_event="workflow_job")
    assert (job.run, job.parent, job.kind) == (
        "run://github/shop/etl/30433642/2832853555",
        "run://github/shop/etl/30433642",
        "task",
    )
    assert (job.name, job.state) == ("test (3.11)", "failed")
    assert (shown(job.started), shown(job.ended)) == ("09:00:20", "09:04:10")
    assert job.url == "https://github.com/shop/etl/actions/runs/30433642/job/2832853555"


def test_a_pipeline_of_gitlab_took_as_long_as_it_says() -> None:
    pipeline = fact("gitlab", read("gitlab_pipeline.json"))
    assert (pipeline.run, pipeline.job, pipeline.state) == ("run://gitlab/shop/etl/31", "gitlab://shop/etl", "failed")
    assert (shown(pipeline.started), shown(pipeline.ended), pipeline.duration) == ("06:00:30", "06:05:30", 300.0)
    assert pipeline.url == "https://gitlab.example/shop/etl/-/pipelines/31"
    assert pipeline.name == "Pipeline for branch: main"


def test_a_pipeline_that_fails_twice_is_told_of_twice() -> None:
    body = read("gitlab_pipeline.json")
    (first,) = become("gitlab", body)
    later = {**body["object_attributes"], "finished_at": "2026-11-22 07:00:00 UTC"}
    (second,) = become("gitlab", {**body, "object_attributes": later})
    assert first.id != second.id
    running = {**body["object_attributes"], "status": "running", "finished_at": None, "duration": None}
    begun = fact("gitlab", {**body, "object_attributes": running})
    assert (begun.state, begun.ended) == ("running", None)
    assert begun.started is not None


def test_a_job_of_gitlab_is_a_part_of_its_pipeline() -> None:
    job = fact("gitlab", read("gitlab_build.json"))
    assert (job.run, job.parent, job.kind, job.state, job.name) == (
        "run://gitlab/shop/etl/31/380",
        "run://gitlab/shop/etl/31",
        "task",
        "completed",
        "test",
    )
    assert (shown(job.started), shown(job.ended)) == ("06:01:00", "06:05:00")


def test_a_job_s_run_on_the_dbt_platform_ends_as_its_status_says() -> None:
    body = read("dbt_cloud.json")
    errored = fact("dbt-cloud", body)
    assert (errored.run, errored.job, errored.job_name, errored.state) == (
        "run://dbt-cloud/1/12345",
        "dbt-cloud://1/job/123",
        "Daily Job (dbt build)",
        "failed",
    )
    assert (shown(errored.started), shown(errored.ended)) == ("06:26:00", "06:28:07")
    for status, state in (("Success", "completed"), ("Errored", "failed"), ("Cancelled", "cancelled")):
        data = {**body["data"], "runStatus": status, "runFinishedAt": "2026-11-22T06:28:09Z"}
        ended = fact("dbt-cloud", {**body, "eventType": "job.run.completed", "data": data})
        assert (ended.state, shown(ended.ended)) == (state, "06:28:09")
    started = {**body, "eventType": "job.run.started", "data": {**body["data"], "runStatus": "Running"}}
    assert fact("dbt-cloud", started).state == "running"


@pytest.mark.parametrize("url", ["javascript:alert(1)", "https://x/" + "a" * 3_000, 7, None])
def test_an_address_that_people_should_not_open_is_none(url: Any) -> None:
    (event,) = become("github", workflow_run(html_url=url), x_github_event="workflow_run")
    found = run_facts.of(event)
    assert found is not None
    assert found.url is None
    assert event.time == datetime(2026, 11, 22, 9, 4, 12, tzinfo=UTC)


def test_what_is_no_run_says_nothing() -> None:
    issue = {"action": "opened", "issue": {"number": 7}, "repository": {"full_name": "shop/etl"}}
    note = {"object_kind": "note", "project": {"path_with_namespace": "shop/etl"}}
    told = [*become("github", issue, x_github_event="issues"), *become("gitlab", note)]
    assert [run_facts.of(event) for event in told] == [None, None]
