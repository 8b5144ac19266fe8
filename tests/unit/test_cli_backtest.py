"""`airside automations backtest` on an export: no server, and only what the base install has."""

import gzip
import json
import subprocess
import sys
from pathlib import Path

import orjson
import pytest
from tests.support.command import airside
from tests.support.timeline import record

from airside.events import wire

RULES = """\
- name: silent
  trigger: {absence: {type: job.done}, after: {type: job.began}, within: 10m, for_each: resource.id}
  actions: [{emit: {type: job.missing, resource: x}}]
"""
EVENTS = [
    ("10:00", "job.began", "job://a"),
    ("10:01", "job.began", "job://b"),
    ("10:05", "job.done", "job://b"),
    ("10:20", "job.done", "job://a"),
    ("10:30", "job.began", "job://a"),
]


@pytest.fixture
def rules(tmp_path: Path) -> str:
    file = tmp_path / "rules.yaml"
    file.write_text(RULES)
    return str(file)


def lines(*more: bytes) -> bytes:
    entries = [wire.to_dict(record(n, at, kind, about)) for n, (at, kind, about) in enumerate(EVENTS, 1)]
    return b"".join(orjson.dumps(entry) + b"\n" for entry in entries) + b"".join(more)


@pytest.fixture
def export(tmp_path: Path) -> str:
    file = tmp_path / "log.ndjson"
    file.write_bytes(lines())
    return str(file)


def test_the_list_is_that_of_firings_in_the_order_of_the_log(rules: str, export: str) -> None:
    ran = airside("automations", "backtest", rules, "--events", export, "--until", "2025-11-20T11:00:00Z", "--json")
    assert ran.code == 0, ran.err
    a = {"resource": {"id": "job://a"}}
    assert [(each["outcome"], each["key"], each["position"], each["time"]) for each in ran.json] == [
        ("triggered", a, 4, "2025-11-20T10:10:00.000000Z"),
        ("resolved", a, 4, "2025-11-20T10:20:00.000000Z"),
        ("triggered", a, 5, "2025-11-20T10:40:00.000000Z"),
    ]
    fired, resolved, _ = ran.json
    assert {"id", "automation", "revision", "window", "events", "actions"} <= fired.keys()
    assert (fired["resolved_by"], resolved["late_by"]) == (resolved["id"], 600.0)
    assert fired["events"][0]["position"] == 1
    assert "5 events, 0 ticks among them" in ran.err


def test_exports_can_be_packed_or_come_on_stdin(rules: str, export: str, tmp_path: Path) -> None:
    packed = tmp_path / "log.ndjson.gz"
    packed.write_bytes(gzip.compress(lines()))
    wanted = airside("automations", "backtest", rules, "--events", export, "--json")
    assert airside("automations", "backtest", rules, "--events", str(packed), "--json").json == wanted.json
    stdin = airside("automations", "backtest", rules, "--events", "-", "--json", stdin=lines().decode())
    assert stdin.json == wanted.json
    assert len(wanted.json) == 2
    packed.write_bytes(gzip.compress(lines())[:-20])
    cut = airside("automations", "backtest", rules, "--events", str(packed))
    assert (cut.code, "cut off" in cut.err) == (2, True)


def test_since_leaves_out_what_came_before(rules: str, export: str) -> None:
    ran = airside("automations", "backtest", rules, "--events", export, "--since", "2025-11-20T10:01:00Z", "--json")
    assert (ran.code, ran.json) == (0, [])


def test_in_a_pipe_it_is_one_table(rules: str, export: str) -> None:
    ran = airside("automations", "backtest", rules, "--events", export, "--utc")
    assert ran.rows[0] == ["AUTOMATION", "KEY", "TIME", "OUTCOME", "WHY", "ID"]
    assert ran.rows[1][:4] == ["silent", "resource.id=job://a", "2025-11-20 10:10:00.000Z", "triggered"]


def test_what_an_automation_did_stands_beside_it(rules: str, tmp_path: Path) -> None:
    did = {"key": {"resource": {"id": "job://a"}}, "outcome": "triggered", "revision": 3}
    did |= {"time": "2025-11-20T10:10:00.000000Z", "decided": "2025-11-20T10:10:01.000000Z", "reason": "r"}
    other = {**did, "time": "2025-11-20T10:15:00.000000Z"}
    fired = [
        wire.to_dict(record(n, "10:31", "automation.triggered", "automation://live", payload=payload))
        for n, payload in enumerate((did, other), 6)
    ]
    file = tmp_path / "log.ndjson"
    file.write_bytes(lines(*(orjson.dumps(entry) + b"\n" for entry in fired)))
    ran = airside("automations", "backtest", rules, "--events", str(file), "--against", "live", "--json")
    found = ran.json
    assert [(pair["new"]["time"], pair["present"]["revision"]) for pair in found["both"]] == [(did["time"], 3)]
    assert [each["outcome"] for each in found["only_new"]] == ["resolved"]
    assert [each["time"] for each in found["only_present"]] == [other["time"]]
    table = airside("automations", "backtest", rules, "--events", str(file), "--against", "live").rows
    assert [row[0] for row in table[1:]] == ["both", "only new", "only present"]


@pytest.mark.parametrize(
    ("content", "message"),
    [(lines(b"nonsense\n"), "line 6: "), (lines(b'{"id": "x"}\n'), "line 6: Object missing required field")],
)
def test_a_bad_line_stops_it_and_is_named(rules: str, tmp_path: Path, content: bytes, message: str) -> None:
    file = tmp_path / "bad.ndjson"
    file.write_bytes(content)
    ran = airside("automations", "backtest", rules, "--events", str(file), "--json")
    assert (ran.code, ran.out, message in ran.err) == (2, "", True)


def test_mistakes_in_the_rules_have_their_place(tmp_path: Path, export: str) -> None:
    file = tmp_path / "bad.yaml"
    file.write_text("- name: x\n  trigger: {match: {typ: a}}\n  actions: [{emit: {type: a.b, resource: x}}]\n")
    ran = airside("automations", "backtest", str(file), "--events", export)
    assert (ran.code, f"{file}:2:21: unknown key `typ`" in ran.err) == (1, True)


def test_it_needs_nothing_but_the_base_install(rules: str, export: str) -> None:
    arguments = ["automations", "backtest", rules, "--events", export, "--json"]
    code = (
        "import sys\n"
        "for name in ('fastapi', 'duckdb', 'faststream', 'uvicorn', 'numpy', 'pyarrow', 'jinja2', 'nats'):\n"
        "    sys.modules[name] = None\n"
        f"from airside.sdk.cli import main\nmain({arguments!r})\n"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert len(json.loads(ran.stdout)) == 2
