"""The tree of commands: what it lists, what it imports, and what it says when something is wrong."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from tests.support.command import airside

from airside.sdk.cli import failures, tree

HEAVY = ("pydantic", "httpx", "orjson", "msgspec", "rich", "yaml", "duckdb", "fastapi", "nats", "importlib.metadata")


def commands(help_text: str) -> list[str]:
    lines = help_text.partition("Commands:\n")[2].splitlines()
    return [line.split()[0] for line in lines if line.startswith("  ") and not line.startswith("   ")]


def test_help_lists_every_command_the_most_wanted_first() -> None:
    found = commands(airside("--help").out)
    assert found[:4] == ["up", "demo", "status", "events"]
    assert set(found) >= {"resources", "automations", "query", "tokens", "views", "schema", "doctor"}


@pytest.mark.parametrize(
    ("group", "expected"),
    [
        ("events", {"emit", "tail", "ls", "show", "export", "dead-letters"}),
        ("resources", {"ls", "show"}),
        ("automations", {"apply", "ls", "show", "lint", "firings", "explain", "enable", "disable", "rm"}),
        ("tokens", {"create", "ls", "revoke"}),
        ("views", {"rebuild"}),
    ],
)
def test_a_group_lists_its_commands_those_of_other_components_too(group: str, expected: set[str]) -> None:
    assert set(commands(airside(group, "--help").out)) >= expected
    for name in expected:
        ran = airside(group, name, "--help")
        assert (ran.code, "Examples:" in ran.out) == (0, True), name


@pytest.mark.parametrize(
    "group",
    ["automations", "blocks", "deployments", "events", "hooks", "limits", "queues", "resources", "runs", "tokens"],
)
def test_what_a_command_says_it_says_as_json_too_but_for_those_that_write_files_or_run_code(group: str) -> None:
    without = {
        name for name in commands(airside(group, "--help").out) if "--json" not in airside(group, name, "--help").out
    }
    assert without <= {"build", "export", "import", "schedule", "start"}


def test_help_imports_nothing_heavy() -> None:
    script = (
        "import json, sys\n"
        "from airside.sdk.cli import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: print('\\n' + json.dumps(sorted(sys.modules)))\n"
    )
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    loaded = set(json.loads(ran.stdout.splitlines()[-1]))
    assert not loaded & set(HEAVY)


def test_a_command_that_cannot_be_imported_spoils_only_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tree, "_entry_points", lambda: {"broken": "airside.nowhere:gone", "events.odd": "os:gone"})
    assert "broken" in commands(airside("--help").out)
    ran = airside("broken")
    assert ran.code == 2
    assert "airside.nowhere" in ran.err
    assert "odd" in commands(airside("events", "--help").out)


def test_entry_points_are_read_from_every_installed_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    info = tmp_path / "other-1.0.dist-info"
    info.mkdir()
    (info / "entry_points.txt").write_text(
        "[console_scripts]\nx = y:z\n[airside.commands]\nviews.paint = other.views:paint [extra]\n[more]\na = b\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    tree._entry_points.cache_clear()
    try:
        found = tree._entry_points()
    finally:
        tree._entry_points.cache_clear()
    assert found["views.paint"] == "other.views:paint"
    assert "x" not in found
    assert "a" not in found


@pytest.mark.parametrize("arguments", [("nonsense",), ("events", "nonsense"), ("events", "show"), ("query", "--csv")])
def test_wrong_usage_exits_2_and_says_so_on_stderr(arguments: tuple[str, ...]) -> None:
    ran = airside(*arguments)
    assert (ran.code, ran.out) == (2, "")
    assert "Usage:" in ran.err


def test_the_version_is_told() -> None:
    assert airside("--version").out.startswith("airside ")


def test_without_a_server_the_way_out_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRSIDE_URL", "http://127.0.0.1:9")
    for arguments in (("status",), ("events", "ls"), ("automations", "ls"), ("query", "SELECT 1"), ("events", "tail")):
        ran = airside(*arguments)
        assert (ran.code, ran.out) == (2, "")
        assert "error: cannot reach Airside at http://127.0.0.1:9" in ran.err
        assert "airside up" in ran.err
        assert "Traceback" not in ran.err


def test_bad_settings_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRSIDE_URL", "ftp://plane")
    ran = airside("status")
    assert ran.code == 2
    assert "url: must begin with http:// or https://" in ran.err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--label", "team"), "--label: `team` must be KEY=VALUE"),
        (("--related", "job"), "--related: `job` must be ROLE=ID"),
        (("--payload", "{"), "--payload: not valid JSON"),
        (("--payload", "[]"), "--payload: must be a JSON object"),
        (("--payload", '{"a": NaN}'), "NaN is no JSON number"),
    ],
)
def test_an_event_that_cannot_be_meant_is_not_sent(arguments: tuple[str, ...], says: str) -> None:
    ran = airside("events", "emit", "table.updated", "--resource", "table://a", *arguments)
    assert ran.code == 2
    assert says in ran.err


def test_an_unforeseen_error_is_one_sentence_with_a_way_to_see_more(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(SystemExit) as caught:
        failures.fail(ZeroDivisionError("oops"))
    assert caught.value.code == 2
    assert capsys.readouterr().err == (
        "error: unexpected ZeroDivisionError: oops\n  set AIRSIDE_DEBUG=1 to see where it happened\n"
    )
    monkeypatch.setenv("AIRSIDE_DEBUG", "1")
    with pytest.raises(ZeroDivisionError):
        failures.fail(ZeroDivisionError("oops"))
