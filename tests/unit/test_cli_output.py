"""What commands print: cells that cannot harm a terminal, times with their zone, and the account of a firing."""

import io
import time
from collections.abc import Iterator
from typing import Any

import pytest

from airside.sdk.cli import explaining, output
from airside.sdk.cli.query import _distinct


@pytest.fixture
def new_york(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "America/New_York")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


FIRING: dict[str, Any] = {
    "id": "0d8f",
    "automation": "sales-by-nine",
    "outcome": "triggered",
    "revision": 3,
    "key": {"resource": {"id": "table://w/sales"}},
    "window": {"start": "2026-11-20T14:00:00Z", "end": "2026-11-21T14:00:00Z"},
    "position": 1_410,
    "time": "2026-11-21T14:00:00.000000Z",
    "decided": "2026-11-21T14:02:00.010000Z",
    "reason": "no table.updated by 09:00",
    "clause": {"absence": {"by": "09:00"}},
    "severity": "high",
    "event_count": 0,
    "events": [],
    "actions": [{"kind": "notify", "to": "oncall", "title": "x"}, {"kind": "webhook", "url": "https://a/"}],
    "results": [
        {"index": 0, "kind": "notify", "state": "failed", "attempts": 3, "error": "nobody to tell", "result": None},
    ],
    "late_by": None,
    "resolves": None,
    "resolved_by": None,
}


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, ""),
        (True, "yes"),
        (7, "7"),
        ({"a": ["é"]}, '{"a":["é"]}'),
        ("a\tb\nc", r"a\x09b\x0ac"),
        ("\x1b[31mred", r"\x1b[31mred"),
        ("a\u202eb", r"a\x202eb"),
    ],
)
def test_a_cell_is_one_line_without_control_characters(value: object, shown: str) -> None:
    assert output.plain(value) == shown


@pytest.mark.usefixtures("new_york")
def test_times_are_local_with_their_offset_or_utc() -> None:
    assert output.moment("2026-07-01T13:00:00.123456Z") == "2026-07-01 09:00:00.123-04:00"
    assert output.moment("2026-11-21T14:00:00Z") == "2026-11-21 09:00:00.000-05:00"
    assert output.moment("2026-11-21T09:00:00-05:00", utc=True) == "2026-11-21 14:00:00.000Z"
    assert output.moment(None) == ""


def test_a_pipe_gets_a_header_and_tabs_and_nothing_when_json_is_asked(capsys: pytest.CaptureFixture[str]) -> None:
    output.table(("A", "B"), [(1, "x\ty"), (None, "é")])
    assert capsys.readouterr().out == "A\tB\n1\tx\\x09y\n\té\n"


def test_columns_of_equal_name_are_numbered() -> None:
    assert _distinct(["a", "b", "a", "a"]) == ["a", "b", "a_2", "a_3"]


@pytest.mark.usefixtures("new_york")
def test_a_firing_is_explained_in_full() -> None:
    text = "\n".join(explaining.account(FIRING))
    assert text.splitlines()[0] == "sales-by-nine fired"
    assert "why       no table.updated by 09:00" in text
    assert "when      2026-11-21 09:00:00.000-05:00  (2026-11-21 14:00:00 UTC)" in text
    assert "decided   2026-11-21 09:02:00.010-05:00  (2026-11-21 14:02:00 UTC)" in text
    assert "window    2026-11-20 09:00:00.000-05:00 to 2026-11-21 09:00:00.000-05:00" in text
    assert "key       resource.id = table://w/sales" in text
    assert "clause    absence.by: 09:00" in text
    assert "no events: it fired because nothing came" in text
    assert "1. notify oncall: failed after 3 tries (nobody to tell)" in text
    assert "2. webhook https://a/: not done yet" in text


def test_the_events_of_a_firing_are_listed_and_counted() -> None:
    event = {"id": "e1", "position": 7, "type": "a.b", "received": "2026-11-21T14:00:00Z", "resource": {"id": "r\x1b"}}
    lines = list(explaining.account(FIRING | {"events": [event, {"id": "e2"}], "event_count": 120, "actions": []}))
    assert "2 events of 120, the last" in lines
    assert any(line.startswith("  7  ") and line.endswith(r"a.b  r\x1b  e1") for line in lines)
    assert "  e2" in lines
    assert lines[-1] == "no actions"


def test_a_recovery_says_how_late() -> None:
    text = "\n".join(explaining.account(FIRING | {"outcome": "resolved", "late_by": 7_530.0, "resolves": "abc"}))
    assert text.startswith("sales-by-nine was resolved")
    assert "late by   2 h 5 min" in text
    assert "resolves  abc" in text


@pytest.mark.parametrize(
    ("value", "said"),
    [(0.0, "0 s"), (0.25, "0.25 s"), (59.96, "60 s"), (60, "1 min"), (3_661, "1 h 1 min"), (90_000, "1 d 1 h")],
)
def test_spans_are_said_as_people_say_them(value: float, said: str) -> None:
    assert explaining.seconds(value) == said


class Terminal(io.StringIO):
    """Standard output that says it is a terminal of eighty columns."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("long", ["short", "table://warehouse/" + "x" * 90])
def test_on_a_terminal_nothing_is_cut_whatever_its_width(monkeypatch: pytest.MonkeyPatch, long: str) -> None:
    screen = Terminal()
    monkeypatch.setattr("sys.stdout", screen)
    monkeypatch.setenv("COLUMNS", "80")
    firing = "3bea6feb1e86b53c07863da210f0f767"
    output.table(["TIME", "RESOURCE", "ID"], [["2026-11-22 09:00:00.000+01:00", long, firing]])
    shown = screen.getvalue()
    assert firing in shown
    assert "2026-11-22 09:00:00.000+01:00" in shown
    assert long in shown
