"""`airside deployments` and the same from Python, against a real server."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from tests.support.command import airside
from tests.support.up import Up

from airside.sdk import flow, run_deployment
from airside.sdk.exceptions import NotFound, Refused

FLOW = """
from airside.sdk import flow

@flow(tags=["finance"], version="7")
def load(day: str, rows: int = 10) -> int:
    "Load a day."
    return rows
"""


@flow
def here(rows: int = 10) -> int:
    return rows


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    server = Up(tmp_path_factory.mktemp("deployments") / "home").start()
    yield server
    server.stop()


@pytest.fixture(autouse=True)
def in_a_folder(up: Up, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRSIDE_URL", up.url)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "load_flow.py").write_text(FLOW)


def build(*arguments: str) -> None:
    assert airside("deployments", "build", "load_flow.py:load", *arguments).code == 0


def test_what_is_built_says_what_a_person_would_change_and_nothing_of_the_code(tmp_path: Path) -> None:
    build("-n", "prod", "-q", "warehouse", "--cron", "0 6 * * *", "--timezone", "Europe/Amsterdam", "-p", "rows=3")
    text = (tmp_path / "deployment.yaml").read_text()
    found = yaml.safe_load(text)
    assert (found["name"], found["flow"], found["entrypoint"]) == ("prod", "load", "load_flow.py:load")
    assert (found["queue"], found["priority"], found["version"], found["tags"]) == ("warehouse", 5, "7", ["finance"])
    assert found["schedules"] == [{"name": "cron", "cron": "0 6 * * *", "timezone": "Europe/Amsterdam"}]
    assert found["parameters"] == {"rows": 3}
    assert found["parameters_schema"]["required"] == ["day"]
    assert found["storage"] == {"kind": "path", "path": str(tmp_path)}
    assert "return rows" not in text


def test_a_deployment_is_applied_shown_paused_resumed_and_removed() -> None:
    build("-n", "cycle", "--every", "1h", "-p", "day=today")
    applied = airside("deployments", "apply", "deployment.yaml", "--json")
    assert [(item["name"], item["change"]) for item in applied.json] == [("load/cycle", "created")]
    assert airside("deployments", "apply", "deployment.yaml", "--json").json[0]["change"] == "unchanged"
    assert airside("deployments", "pause", "load/cycle").code == 0
    listed = {row[0]: row for row in airside("deployments", "ls").rows[1:]}
    assert listed["load/cycle"][2:4] == ["every 1h", "yes"]
    assert airside("deployments", "resume", "load/cycle").code == 0
    assert airside("deployments", "show", "load/cycle", "--json").json["enabled"] is True
    assert airside("deployments", "rm", "load/cycle").code == 0
    assert airside("deployments", "show", "load/cycle").code == 1


def test_a_file_holds_many(tmp_path: Path) -> None:
    build("-n", "one")
    one = yaml.safe_load((tmp_path / "deployment.yaml").read_text())
    (tmp_path / "airside.yaml").write_text(yaml.safe_dump({"deployments": [one, one | {"name": "two"}]}))
    applied = airside("deployments", "apply", "airside.yaml", "--json").json
    assert [item["name"] for item in applied] == ["load/one", "load/two"]


def test_slas_are_kept_and_it_is_said_that_nothing_watches_them(tmp_path: Path) -> None:
    kept = {"name": "slow", "flow": "load", "entrypoint": "load_flow.py:load", "slas": [{"completes_within": "45m"}]}
    (tmp_path / "deployment.yaml").write_text(yaml.safe_dump(kept))
    applied = airside("deployments", "apply", "deployment.yaml")
    assert applied.code == 0
    assert "load/slow: nothing watches its `slas` yet" in applied.err
    assert airside("deployments", "show", "load/slow", "--json").json["document"]["slas"] == kept["slas"]


def test_what_is_wrong_is_named_and_nothing_is_sent(tmp_path: Path) -> None:
    ran = airside("deployments", "build", "load_flow.py:load", "-n", "prod", "--cron", "often")
    assert (ran.code, "schedules.0.cron: must have five fields" in ran.err) == (1, True)
    (tmp_path / "bad.yaml").write_text("name: prod\nflow: load\nentrypont: load.py:load\n")
    ran = airside("deployments", "apply", "bad.yaml")
    assert (ran.code, "did you mean `entrypoint`" in ran.err) == (1, True)
    assert airside("deployments", "build", "nowhere.py:load", "-n", "prod").code == 2
    assert airside("deployments", "show", "load").code == 2


def test_a_run_is_started_with_parameters_that_fit_once_for_each_key() -> None:
    build("-n", "by-hand")
    airside("deployments", "apply", "deployment.yaml")
    refused = airside("deployments", "run", "load/by-hand", "-p", "day=1", "-p", "rows=many")
    assert (refused.code, "parameters.rows" in refused.err) == (1, True)
    one, again = (airside("deployments", "run", "load/by-hand", "-p", "day=monday", "--key", "k").out for _ in range(2))
    assert one == again
    shown = airside("runs", "show", one.strip(), "--json").json
    assert shown["state"] == "scheduled"


def test_a_flow_is_deployed_and_run_from_python() -> None:
    assert here.deploy("python", queue="elsewhere", every=3600) == "here/python"
    shown = airside("deployments", "show", "here/python", "--json").json["document"]
    assert shown["entrypoint"] == f"{Path(__file__).name}:here"
    assert shown["storage"] == {"path": str(Path(__file__).parent)}
    made = run_deployment("here/python", {"rows": 1}, wait=0.1)
    assert made.state == "scheduled"
    with pytest.raises(Refused, match="parameters"):
        run_deployment("here/python", {"rows": "many"}, wait=False)
    with pytest.raises(NotFound):
        run_deployment("here/nowhere", wait=False)


def test_several_schedules_and_all_that_people_set_are_built(tmp_path: Path) -> None:
    build(
        *("-n", "many", "--cron", "0 6 * * *", "--cron", "0 18 * * *", "--rrule", "FREQ=WEEKLY;BYDAY=MO;BYHOUR=9"),
        *(
            "--every",
            "2h",
            "--at",
            "2030-01-31T18:00",
            "--anchor",
            "2026-01-05T09:00",
            "--timezone",
            "Europe/Amsterdam",
        ),
        *("-p", "day=2026", "--tag", "x", "--priority", "1", "--concurrency", "2", "--on-full", "cancel_new"),
        *("--storage", "s3://code/etl", "--credentials", "env:ETL", "--folder", "flows", "--retries", "2"),
    )
    found = yaml.safe_load((tmp_path / "deployment.yaml").read_text())
    assert [one["name"] for one in found["schedules"]] == ["cron", "cron-2", "every", "rrule", "at"]
    assert {one["timezone"] for one in found["schedules"]} == {"Europe/Amsterdam"}
    assert found["parameters"] == {"day": "2026"}  # a text, for the flow takes a text
    assert (found["tags"], found["priority"], found["retries"]) == (["finance", "x"], 1, 2)
    assert found["concurrency"] == {"limit": 2, "on_full": "cancel_new"}
    assert found["storage"] == {
        "kind": "fsspec",
        "url": "s3://code/etl",
        "folder": "flows",
        "credentials": "env:ETL",
    }
    assert airside("deployments", "apply", "deployment.yaml", "--json").json[0]["change"] == "created"
    for storage in ("https://example.org/a", "s3://me:word@code/etl", "nowhere"):
        assert airside("deployments", "build", "load_flow.py:load", "-n", "x", "--storage", storage).code != 0


def test_the_nearest_file_of_the_project_is_applied_and_all_its_mistakes_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build("-n", "near")
    one = yaml.safe_load((tmp_path / "deployment.yaml").read_text())
    two = one | {"name": "far", "schedules": [{"every": "1h", "parameters": {"day": "x"}}]}
    file = tmp_path / "airside.yaml"
    file.write_text(yaml.safe_dump_all([one, two]))
    (tmp_path / "inner/most").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "inner/most")
    tried = airside("deployments", "apply", "--dry-run")
    assert tried.code == 0, tried.err
    assert [row[2] for row in tried.rows[1:]] == ["created", "created"]
    assert str(file) in tried.err
    assert airside("deployments", "show", "load/near").code == 1
    assert [row[2] for row in airside("deployments", "apply").rows[1:]] == ["created", "created"]
    file.write_text(yaml.safe_dump_all([one | {"quue": "x"}, two | {"schedules": [{"every": "soon"}]}]))
    ran = airside("deployments", "apply")
    assert ran.code == 1
    assert "load/near: quue: unknown key; did you mean `queue`?" in ran.err
    assert "load/far: schedules.0.every: must be" in ran.err
    file.write_text(yaml.safe_dump_all([one, two | {"schedules": [{"every": "1h"}]}]))
    assert "load/far: schedules.0.parameters.day: is required" in airside("deployments", "apply").err
    monkeypatch.chdir("/")
    assert "no airside.yaml here" in airside("deployments", "apply").err


def test_a_file_that_says_that_it_is_enabled_resumes_what_was_paused(tmp_path: Path) -> None:
    build("-n", "said", "--every", "1h", "-p", "day=x")
    airside("deployments", "apply", "deployment.yaml")
    airside("deployments", "pause", "load/said")
    airside("deployments", "apply", "deployment.yaml")
    assert airside("deployments", "show", "load/said", "--json").json["enabled"] is False
    with (tmp_path / "deployment.yaml").open("a") as file:
        file.write("enabled: true\n")
    assert airside("deployments", "apply", "deployment.yaml", "--json").json[0]["change"] == "updated"
    assert airside("deployments", "show", "load/said", "--json").json["enabled"] is True


def test_a_schedule_is_looked_at_paused_and_resumed_by_its_name() -> None:
    build("-n", "two", "--cron", "0 6 * * *", "--every", "1h", "--timezone", "Europe/Amsterdam", "-p", "day=x")
    airside("deployments", "apply", "deployment.yaml")
    listed = airside("deployments", "schedule", "ls", "load/two").rows[1:]
    assert [(row[0], row[2]) for row in listed] == [("cron", "yes"), ("every", "yes")]
    assert listed[0][3].endswith("Europe/Amsterdam")
    assert " 06:00:00+0" in listed[0][3]
    assert "say which" in airside("deployments", "schedule", "pause", "load/two").err
    assert airside("deployments", "schedule", "pause", "load/two", "cron").code == 0
    assert [row[2] for row in airside("deployments", "schedule", "ls", "load/two").rows[1:]] == ["no", "yes"]
    shown = [row for row in airside("deployments", "show", "load/two").rows if row[0] == "next"]
    assert len(shown) == 5
    assert all(row[1].endswith("Europe/Amsterdam, every") for row in shown)
    airside("deployments", "apply", "deployment.yaml")
    assert airside("deployments", "schedule", "ls", "load/two").rows[1][2] == "no"
    assert airside("deployments", "schedule", "resume", "load/two", "cron").code == 0
    assert airside("deployments", "schedule", "pause", "load/two", "none").code == 1
