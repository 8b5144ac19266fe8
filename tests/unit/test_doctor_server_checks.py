"""What `airside doctor` makes of what a server says of itself."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from airside.coordinator.commands import server_checks
from airside.coordinator.commands.findings import Check

WELL: dict[str, Any] = {
    "damage": None,
    "not_ready": [],
    "log": {"last": 10, "bytes": 1000},
    "counts": {"dead_letters": 0},
}


@pytest.mark.parametrize(
    ("reason", "name", "todo"),
    [
        ("the disk is full: 0.0 MB free, at least 17 MB are needed", "broker", "make room"),
        ("the log has not answered for 12 s", "broker", "airside up -v"),
        ("projector failed: TransactionException: no", "part projector", "start Airside again"),
        ("the views are being read in (position 5)", "log", "airside status"),
    ],
)
def test_each_reason_why_a_server_is_not_ready_is_a_finding_with_its_way_out(reason: str, name: str, todo: str) -> None:
    found = {check.name: check for check in server_checks._readiness({**WELL, "not_ready": [reason]})}
    assert found[name].state != "ok"
    assert todo in found[name].todo
    assert found[name].why


def test_damage_is_said_alone() -> None:
    (found,) = server_checks._readiness({**WELL, "damage": "It ends at 5.", "not_ready": ["It ends at 5."]})
    assert (found.name, found.state) == ("log", "fail")


@pytest.mark.parametrize(("seconds", "words"), [(120, "120 s ahead of"), (-120, "120 s behind")])
def test_a_clock_that_is_off_is_said_with_its_direction(seconds: int, words: str) -> None:
    found = server_checks._clock(datetime.now(UTC) + timedelta(seconds=seconds))
    assert found.state == "fail"
    assert words in found.says


def test_a_log_whose_clock_ran_ahead_of_a_clock_that_was_set_back_is_said() -> None:
    wall = datetime(2026, 11, 22, 9, tzinfo=UTC)
    (found,) = server_checks._log_clock("2026-11-22T10:00:00Z", wall)
    assert (found.state, "3,600 s ahead" in found.says) == ("warn", True)
    assert list(server_checks._log_clock("2026-11-22T08:59:50Z", wall)) == []
    assert list(server_checks._log_clock(None, wall)) == []


def test_dead_letters_are_counted() -> None:
    (found,) = server_checks._dead_letters({"counts": {"dead_letters": 3}})
    assert (found.state, found.todo) == ("warn", "airside events dead-letters")
    assert list(server_checks._dead_letters({"counts": {}})) == []
    assert list(server_checks._dead_letters(WELL)) == [Check("dead letters", "ok", "none")]
