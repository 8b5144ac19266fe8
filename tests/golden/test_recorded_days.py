"""Recorded days, replayed by today's engine: the same firings with the same identities, for ever.

A day is `<name>.ndjson` (what `airside events export` writes), `<name>.firings.json` what `rules.yaml` decided on it
when it was recorded. Old files are not edited: where a build must decide otherwise it declares another engine version,
and a new file says what it decides.
"""

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from airside.events import exported
from airside.events.wire import to_micros
from airside.triggers import document
from airside.triggers.backtest import Backtest

HERE = Path(__file__).parent
DAYS = sorted(path.stem for path in HERE.glob("*.ndjson"))
UNTIL = {"2026-11-22": "2026-11-22T10:00:00Z"}
FIELDS = ("id", "automation", "outcome", "key", "window", "position", "time", "reason")


def decided(day: str) -> list[dict[str, Any]]:
    automations = document.parse_file((HERE / "rules.yaml").read_text()).automations
    records = exported.read((HERE / f"{day}.ndjson").read_bytes().splitlines())
    replay = Backtest(automations, until=to_micros(datetime.fromisoformat(UNTIL[day])))
    found = [firing.to_dict() for firing in replay.run(records)]
    return [{field: firing[field] for field in FIELDS} for firing in found]


@pytest.mark.parametrize("day", DAYS)
def test_a_recorded_day_is_decided_as_it_was(day: str) -> None:
    expected = json.loads((HERE / f"{day}.firings.json").read_text())
    assert decided(day) == expected
