"""The views are a function of the log: however it is cut into batches, and whenever it is folded again."""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.views_samples import action, batch, batches, control, created, event, firing, poison, posted, record, tick

from airside.coordinator.views import Views
from airside.coordinator.views.rebuild import rebuild
from airside.events import LogDamaged, Record, WireRelated
from airside.events.log import Batch, Poison

TABLES = ("events", "resources", "firings", "actions", "automations", "dead_letters", "log_position")


def contents(path: Path) -> dict[str, list[Any]]:
    """Everything that the views hold, in an order of its own."""
    views = Views.open(path)
    try:
        return {
            table: views.read(
                lambda con, table: con.execute(f"SELECT COLUMNS(*)::VARCHAR FROM {table} ORDER BY ALL").fetchall(),
                table,
            )
            for table in TABLES
        }
    finally:
        views.close()


def fold(path: Path, cut: Iterable[Batch], *, restarts: bool = False) -> tuple[int, int]:
    """Fold batches; give how many events were new, and how many duplicates there were."""
    new = duplicates = 0
    views = Views.open(path)
    for part in cut:
        views.bind("2026-11-22T08:00:00Z")
        folded = views.apply(part)
        new, duplicates = new + len(folded.new), duplicates + folded.duplicates
        if restarts:
            views.close()
            views = Views.open(path)
    views.close()
    return new, duplicates


def entry(position: int, kind: int, choice: int) -> Record | Poison:
    run = f"run://{choice % 3}"
    related = (WireRelated(f"job://{choice % 2}", "job", "job", "j", {f"l{choice}": str(position)}),)
    automation = {"name": f"rule{choice % 2}", "revision": choice}
    made = {
        0: lambda: posted(position, f"flow_run.type{choice}", run, labels={f"k{choice}": str(position)}),
        1: lambda: posted(position, "flow_run.failed", run, related=related, payload={"n": choice}),
        2: lambda: record(position, event(choice, "table.updated", "table://t")),
        3: lambda: poison(position),
        4: lambda: tick(position),
        5: lambda: created(position, f"rule{choice % 2}", choice),
        6: lambda: control(position, f"automation.{('enabled', 'disabled', 'deleted')[choice % 3]}", automation),
        7: lambda: control(position, "automation.updated", {"name": 5}),
        8: lambda: firing(position, f"f{choice}", f"rule{choice % 2}"),
        9: lambda: firing(position, f"r{choice}", f"rule{choice % 2}", outcome="resolved", resolves=f"f{choice}"),
        10: lambda: action(position, ("succeeded", "failed", "retried")[choice % 3], firing_id=f"f{choice}"),
        11: lambda: posted(position, workspace="other", event_id=f"event-{choice}"),
    }
    return made[kind]()


logs = st.lists(st.tuples(st.integers(0, 11), st.integers(0, 8)), min_size=1, max_size=60).map(
    lambda drawn: [entry(number, *what) for number, what in enumerate(drawn, start=1)]
)


@settings(max_examples=40, deadline=None)
@given(logs, st.lists(st.integers(1, 20), max_size=8), st.booleans())
def test_the_views_are_the_same_however_the_log_is_cut(
    log: list[Record | Poison], sizes: list[int], restarts: bool
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        one, many = Path(folder, "one.duckdb"), Path(folder, "many.duckdb")
        assert fold(one, batches(log, [])) == fold(many, batches(log, sizes), restarts=restarts)
        assert contents(one) == contents(many)


async def aiter_of(cut: list[Batch]) -> AsyncIterator[Batch]:
    for part in cut:
        yield part


def a_log() -> list[Record | Poison]:
    return [entry(number, number % 12, number % 9) for number in range(1, 200)]


async def test_a_rebuilt_file_takes_the_place_of_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "views.duckdb"
    fold(path, batches(a_log(), [7] * 10))
    before = contents(path)
    seen: list[int] = []
    witness = await rebuild(
        path,
        aiter_of(batches(a_log(), [50, 50])),
        stream_created="2026-11-22T08:00:00Z",
        on_progress=seen.append,
    )
    assert (witness.position, seen) == (199, [50, 100, 199])
    assert await asyncio.to_thread(contents, path) == before
    assert [file.name for file in tmp_path.iterdir()] == ["views.duckdb"]


async def test_a_rebuild_that_fails_leaves_the_old_file_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "views.duckdb"
    fold(path, batches(a_log(), []))
    before = contents(path)
    broken = [batch(posted(1)), batch(posted(3))]
    with pytest.raises(LogDamaged):
        await rebuild(path, aiter_of(broken), stream_created="x")
    assert await asyncio.to_thread(contents, path) == before
    assert [file.name for file in tmp_path.iterdir()] == ["views.duckdb"]
