"""`airside automations import`: a file in, a file out, a summary, and exit codes that scripts can rely on."""

import json

import pytest
from tests.support.command import airside

RULE = {
    "name": "Failures",
    "trigger": {"type": "event", "posture": "Reactive", "expect": ["run.failed"], "threshold": 2, "within": 60},
    "actions": [{"type": "do-nothing"}],
}
METRIC = {"name": "m", "trigger": {"type": "metric"}, "actions": []}
PAUSE = {**RULE, "actions": [{"type": "pause-work-queue", "work_queue_id": "1"}]}


@pytest.fixture
def files(tmp_path):
    def write(*automations):
        source = tmp_path / "prefect.json"
        source.write_text(json.dumps({"results": automations}))
        return str(source), str(tmp_path / "rules.yaml")

    return write


def test_what_is_written_passes_lint_and_can_be_backtested(files, tmp_path):
    source, target = files(RULE)
    ran = airside("automations", "import", source, "-o", target)
    assert (ran.code, ran.out, ran.err) == (0, "", "1 automation translated\n")
    assert airside("automations", "lint", target, "--strict").code == 0
    events = tmp_path / "events.ndjson"
    lines = []
    for position, second in ((1, "00"), (2, "59")):
        at = f"2026-11-22T09:00:{second}Z"
        event = {"id": f"e{position}", "type": "run.failed", "time": at, "source": "x", "resource": {"id": "run://1"}}
        lines.append(json.dumps(event | {"position": position, "received": at, "workspace": "default"}))
    events.write_text("\n".join(lines))
    fired = airside("automations", "backtest", target, "--events", str(events), "--json").json
    assert [(each["automation"], each["position"]) for each in fired] == [("failures", 2)]


def test_without_a_target_the_file_goes_to_stdout_and_json_comes_from_stdin():
    ran = airside("automations", "import", "-", stdin=json.dumps(RULE))
    assert ran.code == 0
    assert ran.out.startswith("# Imported from Prefect.")
    assert airside("automations", "lint", "-", stdin=ran.out).code == 0


def test_what_is_left_out_is_told_and_fails_unless_partial(files):
    source, target = files(METRIC, PAUSE)
    ran = airside("automations", "import", source, "-o", target)
    assert ran.code == 1
    assert ran.err.splitlines() == [
        "m: left out: a trigger of type `metric` has no counterpart",
        "Failures: left out: the action `pause-work-queue` has no counterpart",
        "1 automation translated, 1 not, 1 part left out",
        "something was left out; with --partial that is no failure",
    ]
    assert airside("automations", "import", source, "-o", target, "--partial").code == 0
    assert airside("automations", "lint", target).code == 0


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "is not JSON"),
        ("[1]", "not automations of Prefect"),
        ("[" * 200_000, "is not JSON"),
        ("\udcff", "is not JSON"),
    ],
)
def test_what_cannot_be_read_is_refused_with_the_reason(tmp_path, text, says):
    source = tmp_path / "x.json"
    source.write_bytes(text.encode("utf-8", "surrogateescape"))
    ran = airside("automations", "import", str(source))
    assert (ran.code, ran.out) == (2, "")
    assert says in ran.err


def test_files_that_are_not_there_are_told(tmp_path, files):
    assert "cannot read" in airside("automations", "import", str(tmp_path / "none.json")).err
    source, _ = files(RULE)
    ran = airside("automations", "import", source, "-o", str(tmp_path / "none" / "rules.yaml"))
    assert ran.code == 2
    assert "cannot write" in ran.err
