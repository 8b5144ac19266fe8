"""Snapshots: the same rows as the views, at one position, made of files that nobody sees half-written."""

import random
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest
from tests.views_samples import action, batch, created, firing, poison, posted

from airside.coordinator.views import Views, publish
from airside.coordinator.views.parts import MergePolicy
from airside.coordinator.views.publish import Publisher
from airside.coordinator.views.snapshot import MANIFEST, Snapshot
from airside.events import Record
from airside.events.log import Poison

SMALL = MergePolicy(segment=40, inline=20, min_delta=10, max_deltas=3)
TABLES = ("events", "firings", "dead_letters", "resources", "actions", "automations")


@pytest.fixture
def views(tmp_path: Path) -> Iterator[Views]:
    opened = Views.open(tmp_path / "views.duckdb")
    yield opened
    opened.close()


@pytest.fixture
def publisher(views: Views, tmp_path: Path) -> Publisher:
    return Publisher(views, tmp_path / "snapshots", SMALL)


def entry(position: int) -> Record | Poison:
    if position == 1:
        return created(1)
    kind = position % 10
    if kind == 3:
        return poison(position)
    if kind == 5:
        return firing(position, f"f{position}")
    if kind == 6:
        return action(position, "succeeded", firing_id=f"f{position - 1}")
    if kind == 7:
        return firing(position, f"r{position}", outcome="resolved", resolves=f"f{position - 2}", actions=())
    if kind == 8:
        return posted(position, workspace="other")
    return posted(position, "flow_run.running", f"run://{position % 23}", labels={f"n{position % 5}": str(position)})


def grow(views: Views, count: int) -> None:
    first = views.position + 1
    views.apply(batch(*(entry(position) for position in range(first, first + count))))


def shown(snapshot: Snapshot, monkeypatch: pytest.MonkeyPatch) -> dict[str, list[tuple[Any, ...]]]:
    monkeypatch.chdir(snapshot.folder)
    with duckdb.connect() as con:
        for view in snapshot.view_definitions():
            con.execute(view)
        return {
            table: con.execute(f"SELECT COLUMNS(*)::VARCHAR FROM {table} ORDER BY ALL").fetchall() for table in TABLES
        }


def expected(views: Views, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workspace: str) -> Any:
    """What a snapshot made in one go, by somebody who never made one before, would show."""
    fresh = Publisher(views, tmp_path / f"fresh-{random.random()}")
    return shown(fresh.acquire(workspace), monkeypatch)


def refreshed(publisher: Publisher, workspace: str = "default") -> Snapshot:
    """Acquire a snapshot of this very moment."""
    publisher._open(workspace).made = 0.0
    return publisher.acquire(workspace)


def test_a_snapshot_shows_what_the_views_hold(
    views: Views, publisher: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    grow(views, 30)
    snapshot = publisher.acquire("default")
    tables = shown(snapshot, monkeypatch)
    assert snapshot.position == 30
    for table, rows in tables.items():
        live = views.read(
            lambda con, table: con.execute(f"SELECT count(*) FROM {table} WHERE workspace = 'default'").fetchall(),
            table,
        )
        assert live == [(len(rows),)], table
    assert {row[0] for rows in tables.values() for row in rows} == {"default"}


def test_many_small_refreshes_and_merges_show_the_same_as_one_large_snapshot(
    views: Views, publisher: Publisher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chance = random.Random(7)
    for step in range(60):
        grow(views, chance.randint(1, 12))
        snapshot = refreshed(publisher)
        if step % 3 == 0:
            publisher.keep_up()
        if step % 10 == 0:
            monkeypatch.undo()
            assert shown(snapshot, monkeypatch) == expected(views, tmp_path, monkeypatch, "default")
        publisher.release(snapshot)
    for workspace in ("default", "other"):
        snapshot = refreshed(publisher, workspace)
        assert shown(snapshot, monkeypatch) == expected(views, tmp_path, monkeypatch, workspace)
        assert len(snapshot.parts["events"]) < 20
        on_disk = {file.name for file in snapshot.folder.iterdir()} - {MANIFEST}
        assert on_disk == snapshot.files


def test_files_stay_as_long_as_a_query_reads_them(
    views: Views, publisher: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    grow(views, 20)
    old = publisher.acquire("default")
    before = shown(old, monkeypatch)
    for _ in range(10):
        grow(views, 20)
        publisher.release(refreshed(publisher))
        publisher.keep_up()
    assert shown(old, monkeypatch) == before
    publisher.release(old)
    left = {file.name for file in old.folder.iterdir()}
    assert not left & old.files


def test_a_snapshot_is_used_again_after_a_restart_and_leftovers_are_removed(
    views: Views, publisher: Publisher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(10):
        grow(views, 30)
        publisher.release(refreshed(publisher))
        publisher.keep_up()
    before = publisher.acquire("default")
    leftover = before.folder / "events-1-broken-1.parquet"
    leftover.write_bytes(b"half")
    grow(views, 5)

    again = Publisher(views, tmp_path / "snapshots", SMALL)
    snapshot = again.acquire("default")
    assert snapshot.position == 305
    assert {part for part in before.parts["events"] if part.durable} & set(snapshot.parts["events"])
    assert not leftover.exists()
    assert shown(snapshot, monkeypatch) == expected(views, tmp_path, monkeypatch, "default")


@pytest.mark.parametrize("damage", ["manifest", "missing", "truncated", "other views", "ahead"])
def test_a_snapshot_that_does_not_fit_is_made_anew(
    views: Views, publisher: Publisher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: str
) -> None:
    for _ in range(5):
        grow(views, 30)
        publisher.release(refreshed(publisher))
        publisher.keep_up()
    folder = tmp_path / "snapshots" / "default"
    segment = next(folder.joinpath(part.file) for part in publisher.acquire("default").parts["events"] if part.durable)
    segment.chmod(0o644)
    manifest = folder / MANIFEST
    match damage:
        case "manifest":
            manifest.write_text("{")
        case "missing":
            segment.unlink()
        case "truncated":
            segment.write_bytes(segment.read_bytes()[:100])
        case "other views":
            manifest.write_text(manifest.read_text().replace(views.incarnation, "0" * 32))
        case "ahead":
            manifest.write_text(manifest.read_text().replace('"last": ', '"last": 9'))
    snapshot = Publisher(views, tmp_path / "snapshots", SMALL).acquire("default")
    assert not snapshot.files & {segment.name}
    assert shown(snapshot, monkeypatch) == expected(views, tmp_path, monkeypatch, "default")


def test_only_a_workspace_can_be_published(publisher: Publisher) -> None:
    with pytest.raises(ValueError, match="workspace"):
        publisher.acquire("../etc")


@pytest.mark.parametrize("what", ["files", "folder"])
def test_snapshots_that_somebody_deleted_are_written_anew(
    views: Views, publisher: Publisher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    grow(views, 50)
    publisher.release(publisher.acquire("default"))
    if what == "folder":
        shutil.rmtree(tmp_path / "snapshots")
    else:
        for file in (tmp_path / "snapshots").rglob("*.parquet"):
            file.unlink()
    snapshot = publisher.acquire("default")
    assert shown(snapshot, monkeypatch) == expected(views, tmp_path, monkeypatch, "default")
    monkeypatch.chdir(tmp_path)
    publisher.release(snapshot)
    shutil.rmtree(tmp_path / "snapshots")
    publisher.keep_up()
    grow(views, 50)
    assert shown(refreshed(publisher), monkeypatch) == expected(views, tmp_path, monkeypatch, "default")


def test_large_rows_go_into_several_files_in_few_bytes_each(
    views: Views, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publish, "CHUNK_KILOBYTES", 1_000)
    publisher = Publisher(views, tmp_path / "large")
    for first in (1, 31):
        views.apply(batch(*(posted(n, payload={"text": "x" * 100_000}) for n in range(first, first + 30))))
        snapshot = refreshed(publisher)
    assert len(snapshot.parts["events"]) > 4
    monkeypatch.chdir(snapshot.folder)
    with duckdb.connect() as con:
        for view in snapshot.view_definitions():
            con.execute(view)
        rows = con.execute("SELECT position, strlen(payload) FROM events ORDER BY position").fetchall()
    assert rows == [(n, 100_011) for n in range(1, 61)]
