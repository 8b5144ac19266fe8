"""Deliveries of GitHub, GitLab and the dbt platform, signed as they sign them, are rows of `runs`."""

import hmac
import json
from pathlib import Path
from typing import Any

import httpx
from tests.integration.test_deployments import until

from airside.coordinator.coordinator import Coordinator

DATA = Path(__file__).parents[1] / "data" / "hooks"


async def deliver(client: httpx.AsyncClient, preset: str, name: str, **headers: str) -> None:
    hook = (await client.post("/api/hooks", json={"name": f"{preset}-{name}", "preset": preset})).json()
    raw = (DATA / f"{name}.json").read_bytes()
    signature = hmac.new(hook["secret"].encode(), raw, "sha256").hexdigest()
    signed = {
        "github": {"X-Hub-Signature-256": f"sha256={signature}"},
        "gitlab": {"X-Gitlab-Token": hook["secret"]},
        "dbt-cloud": {"Authorization": signature},
    }[preset]
    named = {key.replace("_", "-"): value for key, value in headers.items()}
    answer = await client.post(
        hook["path"], content=raw, headers={"Content-Type": "application/json", **signed, **named}
    )
    assert answer.status_code == 202, answer.text


async def test_what_they_deliver_is_listed_beside_all_other_runs(plane: tuple[Coordinator, httpx.AsyncClient]) -> None:
    _, client = plane
    await deliver(client, "github", "github_workflow_run", X_GitHub_Event="workflow_run")
    await deliver(client, "github", "github_workflow_job", X_GitHub_Event="workflow_job")
    await deliver(client, "gitlab", "gitlab_pipeline", X_Gitlab_Event="Pipeline Hook")
    await deliver(client, "gitlab", "gitlab_build", X_Gitlab_Event="Job Hook")
    await deliver(client, "dbt-cloud", "dbt_cloud")

    def all_there(body: Any) -> bool:
        return len(body["items"]) == 5

    rows = {one["id"]: one for one in (await until(client, "/api/runs", all_there))["items"]}
    run = rows["run://github/shop/etl/30433642"]
    assert (run["source"], run["state"], run["job_name"], run["duration"]) == ("github", "failed", "Build", 251.0)
    assert run["url"] == json.loads((DATA / "github_workflow_run.json").read_text())["workflow_run"]["html_url"]
    assert rows["run://github/shop/etl/30433642/2832853555"]["parent"] == run["id"]
    pipeline = rows["run://gitlab/shop/etl/31"]
    assert (pipeline["started"], pipeline["ended"]) == ("2026-11-22T06:00:30Z", "2026-11-22T06:05:30Z")
    assert (rows["run://dbt-cloud/1/12345"]["state"], rows["run://gitlab/shop/etl/31/380"]["state"]) == (
        "failed",
        "completed",
    )
    shown = (await client.get("/api/runs/run://github/shop/etl/30433642")).json()
    assert [one["id"] for one in shown["children"]] == ["run://github/shop/etl/30433642/2832853555"]
    found = await client.post("/api/query", json={"sql": "SELECT count(*) FROM runs WHERE url LIKE 'https://%'"})
    assert found.json()["rows"] == [[3]]
