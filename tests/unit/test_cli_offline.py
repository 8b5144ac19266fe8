"""What the command does without a server: lint, schema, doctor."""

import json
import os
import socket
from concurrent.futures import ThreadPoolExecutor
from importlib.resources import files
from pathlib import Path

import pytest
from tests.support.command import airside

MISTAKES = """\
automations:
  - name: Bad Name
    trigger:
      match: {typ: a.b}
    actions: []
  - name: ok
    trigger: {match: {type: a.b}}
    actions:
      - notfy: {to: x}
"""
TEMPLATES = """\
- name: first
  trigger: {match: {type: a.b}}
  actions:
    - webhook: {url: "https://x/{{ evnt.id }}", secret: a}
    - emit: {type: sla.breached, resource: a, payload: {x: ["{% for a in b %}{% endfor %}"]}}
---
name: second
enabled: false
trigger: {match: {type: ">"}}
actions:
  - webhook: {url: "http://x/"}
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "rules.yaml"


def test_the_shipped_automations_are_free_of_problems() -> None:
    sample = str(files("airside.coordinator.samples") / "automations.yaml")
    ran = airside("automations", "lint", sample, "--strict")
    assert (ran.code, ran.out, ran.err) == (0, "", "1 file, no problems\n")


def test_every_mistake_is_told_with_line_and_column(file: Path) -> None:
    file.write_text(MISTAKES)
    ran = airside("automations", "lint", str(file))
    assert ran.code == 1
    places = [line.removeprefix(f"{file}:").split(": ")[0] for line in ran.out.splitlines()]
    assert {"2:11", "4:15", "5:14", "9:9"} <= set(places)
    assert all(": error: " in line for line in ran.out.splitlines())
    assert ran.err == f"{len(places)} errors, 0 warnings in 1 file\n"


def test_the_texts_of_actions_are_checked_where_they_stand(file: Path) -> None:
    file.write_text(TEMPLATES)
    found = airside("automations", "lint", str(file), "--json")
    assert found.code == 1
    errors = {(item["line"], item["path"]) for item in found.json if item["level"] == "error"}
    assert errors == {
        (4, "[0].actions[0].webhook.url"),
        (5, "[0].actions[1].emit.payload.x[0]"),
        (5, "[0].actions[1].emit.type"),
    }


def test_what_is_probably_a_mistake_is_a_warning(file: Path) -> None:
    file.write_text(TEMPLATES.partition("---\n")[2])
    ran = airside("automations", "lint", str(file), "--json")
    assert ran.code == 0
    assert [(item["line"], item["level"]) for item in ran.json] == [
        (2, "warning"),
        (3, "warning"),
        (5, "warning"),
        (5, "warning"),
    ]
    assert airside("automations", "lint", str(file), "--strict").code == 1


def test_a_file_that_cannot_be_read_does_not_hide_the_others(file: Path) -> None:
    file.write_text(MISTAKES)
    ran = airside("automations", "lint", "/nowhere.yaml", str(file))
    assert ran.code == 2
    assert "cannot read /nowhere.yaml" in ran.err
    assert f"{file}:2:11: error:" in ran.out


def test_stdin_is_a_file_too() -> None:
    ran = airside("automations", "lint", "-", stdin="automations: 7\n")
    assert ran.code == 1
    assert ran.out.startswith("-:1:")


def test_the_schema_is_json_schema() -> None:
    ran = airside("schema")
    assert ran.code == 0
    assert ran.json["$schema"] == "https://json-schema.org/draft/2020-12/schema"


def test_doctor_says_what_is_wrong_and_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "home"
    (home / "nats").mkdir(parents=True)
    home.chmod(0o755)
    (home / "nats" / "server.conf").write_text("jetstream { store_dir: x }\n")
    monkeypatch.setenv("AIRSIDE_HOME", str(home))
    monkeypatch.setenv("AIRSIDE_URL", "http://127.0.0.1:9")
    ran = airside("doctor", "--json")
    assert ran.code == 1
    found = {check["name"]: check for check in ran.json}
    assert found["python"]["state"] == "ok"
    assert (found["home"]["state"], found["home"]["todo"]) == ("warn", f"chmod 700 {home}")
    assert found["disk sync"]["state"] == "fail"
    assert found["server"]["state"] == "fail"
    assert "airside up" in found["server"]["todo"]
    for check in ran.json:
        assert check["state"] == "ok" or (check["why"] and check["todo"]), "what is wrong, why it matters, what to do"


def test_doctor_reads_what_the_embedded_server_last_said_of_its_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = tmp_path / "home" / "nats" / "server.log"
    output.parent.mkdir(parents=True)
    (output.parent / "server.conf").write_text("sync_interval: always\n")
    monkeypatch.setenv("AIRSIDE_HOME", str(tmp_path / "home"))
    started = "[1] 2026/11/22 11:00:00 [INF] Starting nats-server\n"
    full = "[1] 2026/11/22 11:30:00 [ERR] JetStream failed to store a msg: write 1.blk: no space left on device\n"
    for text, state in ((started, "ok"), (started + full, "warn"), (started + full + started, "ok")):
        output.write_text(text)
        found = {check["name"]: check for check in airside("doctor", "--json").json}
        assert found["store"]["state"] == state
        assert ("no space left" in found["store"]["says"]) == (state == "warn")


def test_doctor_names_what_listens_in_the_place_of_airside(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        monkeypatch.setenv("AIRSIDE_URL", f"http://127.0.0.1:{port}")
        other.listen()
        with ThreadPoolExecutor(1) as pool:
            pool.submit(answer_nonsense, other)
            found = {check["name"]: check for check in airside("doctor", "--json").json}
    assert found["port"]["state"] == "fail"
    assert f":{port}" in found["port"]["todo"]


def answer_nonsense(other: socket.socket) -> None:
    other.settimeout(10)
    for _ in range(2):
        connection, _ = other.accept()
        with connection:
            connection.sendall(b"220 mail.example.com ready\r\n")


def test_doctor_says_where_the_airside_of_this_home_is_when_commands_ask_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    (home / "airside.lock").write_text(json.dumps({"pid": os.getpid(), "url": "http://127.0.0.1:7799"}))
    monkeypatch.setenv("AIRSIDE_HOME", str(home))
    monkeypatch.setenv("AIRSIDE_URL", "http://127.0.0.1:9")
    found = {check["name"]: check for check in airside("doctor", "--json").json}
    assert found["address"]["todo"] == "export AIRSIDE_URL=http://127.0.0.1:7799"


def test_doctor_stops_at_settings_that_cannot_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRSIDE_URL", "plane")
    ran = airside("doctor")
    assert ran.code == 1
    assert "fail  settings" in ran.out


def test_json_is_what_json_says(file: Path) -> None:
    file.write_text(MISTAKES)
    ran = airside("automations", "lint", str(file), "--json")
    assert json.loads(ran.out) == ran.json
