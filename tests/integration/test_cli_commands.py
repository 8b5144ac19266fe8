"""The command against a real `airside up`: what people type, what scripts read."""

import csv
import gzip
import io
import json
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.support.command import Ran, airside
from tests.support.up import AIRSIDE, Up, settled

RULES = """\
automations:
  - name: {name}
    description: Three in a row.
    trigger: {{match: {{type: "{event_type}"}}, count: 2, within: 10m, for_each: [resource.id]}}
    actions:
      - emit: {{type: check.failed, resource: "{{{{ resource.id }}}}"}}
"""


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    up = Up(tmp_path_factory.mktemp("home")).start()
    yield up
    up.stop()


@pytest.fixture(autouse=True)
def at_plane(plane: Up, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRSIDE_URL", plane.url)


def emit(plane: Up, event_type: str, resource: str, *options: str) -> dict[str, Any]:
    ran = airside("events", "emit", event_type, "--resource", resource, "--json", *options)
    assert ran.code == 0, ran.err
    plane.until(settled)
    return ran.json


def apply(plane: Up, tmp_path: Path, name: str, event_type: str) -> Ran:
    file = tmp_path / f"{name}.yaml"
    file.write_text(RULES.format(name=name, event_type=event_type))
    ran = airside("automations", "apply", str(file))
    plane.until(settled)
    return ran


def test_an_emitted_event_is_listed_shown_and_counted_once(plane: Up) -> None:
    options = (
        "--label",
        "team=finance",
        "--label",
        "tier=1",
        "--related",
        "job=job://load",
        "--payload",
        '{"rows": 3}',
    )
    sent = emit(plane, "emitted.once", "table://w/a b", "--id", "e-1", "--time", "2026-11-22T10:00:00+01:00", *options)
    assert (sent["id"], sent["accepted"], sent["duplicates"]) == ("e-1", 1, 0)
    again = airside("events", "emit", "emitted.once", "--resource", "table://w/a b", "--id", "e-1")
    assert (again.code, "already on the log" in again.out) == (0, True)

    [listed] = airside("events", "ls", "--type", "emitted.*", "--json").json
    assert listed["time"] == "2026-11-22T09:00:00.000000Z" or listed["time"] == "2026-11-22T09:00:00Z"
    assert listed["resource"]["labels"] == {"team": "finance", "tier": "1"}
    assert [(r["role"], r["id"]) for r in listed["related"]] == [("job", "job://load")]
    assert listed["payload"] == {"rows": 3}
    assert airside("events", "show", "e-1", "--json").json == listed
    shown = dict(row[:2] for row in airside("events", "show", "e-1", "--utc").rows if len(row) > 1)
    assert shown["happened"] == "2026-11-22 09:00:00.000Z"
    assert shown["related job"] == "job://load"

    header, row = airside("events", "ls", "--type", "emitted.once", "--utc").rows
    assert header == ["POSITION", "RECEIVED", "TYPE", "RESOURCE", "ID"]
    assert row[2:] == ["emitted.once", "table://w/a b", "e-1"]
    resource = airside("resources", "show", "table://w/a b", "--json").json
    assert resource["labels"] == {"team": "finance", "tier": "1"}


def test_filters_narrow_lists(plane: Up) -> None:
    for name in ("one", "two"):
        emit(plane, f"narrow.{name}", f"narrow://{name}", "--label", f"n={name}", "--source", f"test://{name}")
    for option, value in (
        ("--type", "narrow.one"),
        ("--resource", "narrow://o*"),
        ("--label", "n=one"),
        ("--source", "*one"),
    ):
        found = airside("events", "ls", option, value, "--kind", "narrow", "--json").json
        assert [event["type"] for event in found] == ["narrow.one"], option
    found = airside("resources", "ls", "--kind", "narrow", "--limit", "1", "--json").json
    assert [item["id"] for item in found] == ["narrow://two"]
    assert airside("events", "ls", "--kind", "narrow", "--until", "1h", "--json").json == []


@pytest.mark.parametrize("command", [("events", "ls"), ("resources", "ls")])
def test_a_list_that_is_cut_off_says_so_and_can_be_had_whole(plane: Up, command: tuple[str, str]) -> None:
    for name in ("a", "b", "c"):
        emit(plane, "cut.off", f"cut://{name}", "--id", f"cut-{name}")
    wanted = (*command, "--kind", "cut", "--json")
    cut = airside(*wanted, "--limit", "2")
    assert len(cut.json) == 2
    assert cut.err == "2 shown, there are more: --limit or --all shows them\n"
    for whole in (airside(*wanted, "--limit", "3"), airside(*wanted, "--limit", "1", "--all")):
        assert len(whole.json) == 3
        assert whole.err == ""


def test_what_the_server_refuses_is_told_field_by_field() -> None:
    ran = airside("events", "emit", "a b", "--resource", "x", "--time", "2026-11-22T10:00:00")
    assert (ran.code, ran.out) == (1, "")
    assert "\n  type: must be one or more words" in ran.err
    assert "\n  time: must say its time zone" in ran.err
    ran = airside("events", "ls", "--since", "yesterday")
    assert (ran.code, "since" in ran.err) == (1, True)


@pytest.mark.parametrize(
    "arguments",
    [
        ("events", "show", "nothing"),
        ("resources", "show", "table://nothing"),
        ("automations", "show", "nothing"),
        ("automations", "enable", "nothing"),
        ("automations", "rm", "nothing"),
        ("automations", "firings", "nothing"),
        ("automations", "explain", "nothing"),
        ("tokens", "revoke", "nothing"),
    ],
)
def test_what_is_not_there_exits_1(arguments: tuple[str, ...]) -> None:
    ran = airside(*arguments)
    assert (ran.code, ran.out) == (1, "")
    assert ran.err.startswith("error: ")


def test_an_automation_lives_from_apply_to_rm(plane: Up, tmp_path: Path) -> None:
    assert apply(plane, tmp_path, "lives", "life.a").rows[1] == ["lives", "1", "created"]
    assert apply(plane, tmp_path, "lives", "life.a").rows[1] == ["lives", "1", "unchanged"]
    assert apply(plane, tmp_path, "lives", "life.b").rows[1] == ["lives", "2", "updated"]
    shown = airside("automations", "show", "lives", "--json").json
    assert (shown["revision"], shown["enabled"]) == (2, True)
    assert airside("automations", "disable", "lives").out == "disabled lives\n"
    plane.until(settled)
    assert airside("automations", "show", "lives", "--json").json["enabled"] is False
    assert airside("automations", "enable", "lives", "--json").json == {"name": "lives", "enabled": True}
    assert airside("automations", "rm", "lives", "--json").json == {"name": "lives", "deleted": True}
    plane.until(settled)
    assert "lives" not in [item["name"] for item in airside("automations", "ls", "--json").json]


def test_apply_reads_stdin_and_can_only_look(plane: Up) -> None:
    text = RULES.format(name="looked-at", event_type="a.b")
    ran = airside("automations", "apply", "-", "--dry-run", "--json", stdin=text)
    assert [(item["name"], item["change"]) for item in ran.json] == [("looked-at", "created")]
    plane.until(settled)
    assert airside("automations", "show", "looked-at").code == 1


def test_files_with_mistakes_are_told_with_their_lines_and_the_others_are_applied(plane: Up, tmp_path: Path) -> None:
    bad, good = tmp_path / "bad.yaml", tmp_path / "good.yaml"
    bad.write_text("automations:\n  - nme: x\n    trigger: {match: {typ: a}}\n")
    good.write_text(RULES.format(name="good", event_type="a.b"))
    ran = airside("automations", "apply", str(bad), str(good), "/nowhere.yaml")
    assert (ran.code, "cannot read /nowhere.yaml" in ran.err) == (2, True)
    ran = airside("automations", "apply", str(bad), str(good))
    assert ran.code == 1
    assert f"{bad}:3:" in ran.err
    assert ["good", "1", "created"] in ran.rows
    plane.until(settled)


def test_a_firing_is_listed_for_scripts_and_explained_for_people(plane: Up, tmp_path: Path) -> None:
    apply(plane, tmp_path, "fires", "fire.now")
    for number in range(3):
        emit(plane, "fire.now", "job://a", "--id", f"fire-{number}")
    plane.until(lambda _: airside("automations", "firings", "fires", "--json").json)
    [firing] = airside("automations", "firings", "fires", "--json").json
    explained = f"/api/firings/{firing['id']}"
    plane.until(lambda client: client.get(explained).json()["results"][0]["state"] == "succeeded")
    assert firing.keys() >= {
        "id",
        "automation",
        "revision",
        "key",
        "window",
        "position",
        "time",
        "events",
        "actions",
    }
    assert firing["key"] == {"resource": {"id": "job://a"}}
    assert [event["id"] for event in firing["events"]] == ["fire-0", "fire-1"]
    assert airside("automations", "firings", "--outcome", "resolved", "--json").json == []

    told = airside("automations", "explain", firing["id"]).out
    assert told.startswith("fires fired\n")
    for part in ("key       resource.id = job://a", "2 events", "fire-1", "1. emit check.failed", "succeeded"):
        assert part in told
    assert airside("automations", "explain", firing["id"], "--json").json["results"][0]["state"] == "succeeded"


def test_a_query_gives_row_objects_csv_or_a_table(plane: Up) -> None:
    emit(plane, "asked.for", "asked://x", "--id", "asked-1")
    sql = "SELECT id, payload, 1 AS n, 2 AS n FROM events WHERE type = ?"
    assert airside("query", sql, "-p", "asked.for", "--json").json == [
        {"id": "asked-1", "payload": {}, "n": 1, "n_2": 2}
    ]
    ran = airside("query", "-", "--csv", stdin="SELECT 'a,b' AS x, NULL AS y")
    assert list(csv.reader(io.StringIO(ran.out))) == [["x", "y"], ["a,b", ""]]
    assert airside("query", "SELECT 1 AS x").rows == [["x"], ["1"]]
    many = airside("query", "SELECT * FROM range(10)", "--limit", "3")
    assert (len(many.rows), "only the first 3 rows" in many.err) == (4, True)


@pytest.mark.parametrize("sql", ["SELEC 1", "DROP TABLE events", "SELECT * FROM nothing"])
def test_a_query_that_is_refused_exits_1(sql: str) -> None:
    ran = airside("query", sql)
    assert (ran.code, ran.out) == (1, "")
    assert ran.err.startswith("error: ")


def test_an_export_is_the_whole_log_or_no_file(plane: Up, tmp_path: Path) -> None:
    emit(plane, "exported.one", "table://x")
    file = tmp_path / "log.ndjson"
    ran = airside("events", "export", "-o", str(file))
    assert ran.code == 0, ran.err
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    positions = [line["position"] for line in lines]
    assert positions == sorted(set(positions))
    assert all("received" in line for line in lines)
    assert "exported.one" in [line["type"] for line in lines]
    piped = airside("events", "export", "--first", str(positions[-1]))
    assert json.loads(piped.out.splitlines()[0]) == lines[-1]
    packed = tmp_path / "log.ndjson.gz"
    assert airside("events", "export", "-o", str(packed), "--last", str(positions[-1])).code == 0
    assert gzip.decompress(packed.read_bytes()) == file.read_bytes()
    packed.unlink()
    assert airside("events", "export", "-o", "/nowhere/log").code == 2
    assert airside("events", "export", "-o", str(tmp_path / "b"), "--since", "never").code == 1
    assert [path.name for path in tmp_path.iterdir()] == ["log.ndjson"]


def test_tail_gives_events_as_they_come_and_ends_with_ctrl_c(plane: Up) -> None:
    first = emit(plane, "tailed.before", "tail://a")["first"]
    command = [AIRSIDE, "events", "tail", "--type", "tailed.>", "--after", str(first - 1), "--json"]
    tail = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=dict(os.environ), text=True)
    assert tail.stdout is not None
    assert json.loads(tail.stdout.readline())["type"] == "tailed.before"
    emit(plane, "tailed.after", "tail://a")
    assert json.loads(tail.stdout.readline())["type"] == "tailed.after"
    tail.send_signal(signal.SIGINT)
    _, err = tail.communicate(timeout=60)
    assert (tail.returncode, err) == (0, "")


def test_status_and_doctor_find_the_plane_well(plane: Up) -> None:
    plane.until(settled)
    at = airside("status", "--json")
    assert (at.code, at.json["ready"], at.json["damage"]) == (0, True, None)
    assert dict(row for row in airside("status").rows if len(row) == 2)["http"] == plane.url
    found = {check["name"]: check["state"] for check in airside("doctor", "--json").json}
    assert {found[name] for name in ("server", "clock", "version", "log", "views", "engine")} == {"ok"}


def test_doctor_sees_that_the_embedded_server_syncs_each_write(plane: Up, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRSIDE_HOME", str(plane.home))
    found = {check["name"]: check["state"] for check in airside("doctor", "--json").json}
    assert (found["disk sync"], found["home"]) == ("ok", "ok")


def test_views_are_rebuilt_with_the_same_contents(plane: Up) -> None:
    plane.until(settled)
    sql = "SELECT count(*) AS n, sum(hash(events)) AS h FROM events"
    before = airside("query", sql, "--json").json
    ran = airside("views", "rebuild", "--json")
    assert (ran.code, ran.json["running"], ran.json["error"]) == (0, False, None)
    plane.until(settled)
    assert airside("query", sql, "--json").json == before


def test_tokens_are_made_listed_and_revoked() -> None:
    made = airside("tokens", "create", "airflow", "--role", "ingest", "--expires", "90d", "--json").json
    assert made["token"].startswith("ast_")
    listed = airside("tokens", "ls")
    assert made["token"] not in listed.out
    assert [made["id"], "airflow", "ingest"] in [row[:3] for row in listed.rows]
    assert airside("tokens", "revoke", made["id"]).code == 0
    assert made["id"] not in airside("tokens", "ls").out
    assert airside("tokens", "create", "x", "--role", "king").code == 1
    assert airside("tokens", "create", "x", "--expires", "soon").code == 2


def test_dead_letters_are_none_on_a_sound_log() -> None:
    assert airside("events", "dead-letters", "--json").json == []


def test_runs_are_listed_and_shown(plane: Up) -> None:
    flow = ("--related", "flow=flow://nightly")
    emit(plane, "flow_run.running", "run://cli/1", "--time", "2026-11-22T09:00:00Z", *flow)
    emit(plane, "flow_run.failed", "run://cli/1", "--time", "2026-11-22T09:00:05Z", *flow)
    emit(plane, "task_run.running", "run://cli/1/load", "--related", "flow_run=run://cli/1")
    [listed] = airside("runs", "ls", "--job", "flow://nightly", "--state", "failed", "--json").json
    assert (listed["id"], listed["duration"]) == ("run://cli/1", 5.0)
    assert "run://cli/1/load" in airside("runs", "ls", "--parent", "run://cli/1").out
    shown = airside("runs", "show", "run://cli/1")
    assert shown.code == 0
    assert "flow_run.failed" in shown.out
    told = '{"message": "1 of 2 failed", "error": {"type": "ValueError", "message": "no good"}}'
    emit(plane, "flow_run.failed", "run://cli/2", "--payload", told, *flow)
    assert "1 of 2 failed; ValueError: no good" in airside("runs", "show", "run://cli/2").out
    by_the_end = airside("runs", "show", "1").out.splitlines()[0]
    assert by_the_end.split() == ["id", "run://cli/1"]
    assert airside("runs", "show", "run://cli/none").code == 1
