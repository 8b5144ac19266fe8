"""Snapshots of the views for people's SQL, which never runs on the views themselves.

A query asks for a snapshot; when the views have moved on, the rows that came since are written to small files first,
in one transaction, so that all tables of a snapshot show the same position. Large files are made in the background.
Files are never changed, and deleted once no query reads them and no newer snapshot has them.
"""

import secrets
import threading
import time
from collections import Counter
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path
from typing import Final

import duckdb

from airside.coordinator.views import snapshot as snapshots
from airside.coordinator.views.parts import SEGMENT_ROWS, Parts, absorbed, mergeable
from airside.coordinator.views.snapshot import TABLES, Snapshot, Table, write
from airside.coordinator.views.store import Views

FRESH_SECONDS: Final = 0.2  # a query may see the views as they were so long ago
CHUNK_POSITIONS: Final = 1_048_576  # at most so many rows go into one file when much is to be caught up with

_MERGER: Final[dict[str, str | bool | int | float | list[str]]] = {"threads": 1, "memory_limit": "512MB"}


@dataclass(slots=True)
class _Published:
    """One workspace's folder."""

    folder: Path
    parts: dict[str, Parts]
    position: int = -1
    made: float = 0.0
    behind: int = 0
    users: Counter[str] = field(default_factory=Counter)
    retired: set[str] = field(default_factory=set)
    lock: threading.Lock = field(default_factory=threading.Lock)


class Publisher:
    """Keeps snapshots in `<root>/<workspace>/`. May be used from any thread."""

    def __init__(self, views: Views, root: Path) -> None:
        """Use this folder, which nobody else may write to."""
        self._views = views
        self._root = root
        self._published: dict[str, _Published] = {}
        self._opening = threading.Lock()
        self._counted = 0
        self._token = secrets.token_hex(3)
        self._numbers = count(1)

    def acquire(self, workspace: str) -> Snapshot:
        """Give a snapshot that is at most FRESH_SECONDS behind. Give it back with `release`."""
        state = self._open(workspace)
        with state.lock:
            behind = self._views.position > state.position
            if state.position < 0 or (behind and time.monotonic() - state.made > FRESH_SECONDS):
                self._refresh(workspace, state)
            snapshot = Snapshot(workspace, state.folder, state.position, dict(state.parts))
            state.users.update(snapshot.files)
            return snapshot

    def release(self, snapshot: Snapshot) -> None:
        """Give a snapshot back: its files may go."""
        state = self._open(snapshot.workspace)
        with state.lock:
            state.users.subtract(snapshot.files)
            _collect(state)

    def keep_up(self) -> None:
        """Publish and merge what has piled up. For the background; it may take a second per million rows."""
        for workspace in self._lagging():
            state = self._open(workspace)
            with state.lock:
                self._refresh(workspace, state)
        for state in list(self._published.values()):
            self._compact(state)

    def _open(self, workspace: str) -> _Published:
        with self._opening:
            state = self._published.get(workspace)
            if state is None:
                folder = self._root / workspace
                parts = snapshots.load(folder, self._views.incarnation, self._views.position)
                state = self._published[workspace] = _Published(folder, parts)
            return state

    def _lagging(self) -> list[str]:
        """Name the workspaces with so many new events that they should not wait for a query."""
        position = self._views.position
        if position - self._counted < SEGMENT_ROWS:
            return []
        for workspace, rows in self._views.read(_count_by_workspace, self._counted, position):
            self._open(workspace).behind += rows
        self._counted = position
        return [name for name, state in self._published.items() if state.behind >= SEGMENT_ROWS]

    def _refresh(self, workspace: str, state: _Published) -> None:
        position, parts = self._views.read(self._write_new, workspace, state)
        self._replace(state, parts)
        state.position, state.made, state.behind = position, time.monotonic(), 0

    def _write_new(
        self, con: duckdb.DuckDBPyConnection, workspace: str, state: _Published
    ) -> tuple[int, dict[str, Parts]]:
        """Write the rows that came since the last snapshot, all from one state of the views."""
        ((position,),) = con.execute("SELECT position FROM log_position").fetchall()
        counts = ", ".join(
            f"(SELECT count(*) FROM {table.name} WHERE workspace = '{workspace}'"  # noqa: S608
            f" AND {table.order} > {_end(state.parts[table.name])})"
            for table in TABLES
        )
        (new_rows,) = con.execute(f"SELECT {counts}").fetchall()
        parts = {
            table.name: self._extend(con, table, state, workspace=workspace, position=position, rows=rows)
            for table, rows in zip(TABLES, new_rows, strict=True)
        }
        return position, parts

    def _extend(
        self,
        con: duckdb.DuckDBPyConnection,
        table: Table,
        state: _Published,
        *,
        workspace: str,
        position: int,
        rows: int,
    ) -> Parts:
        parts = state.parts[table.name]
        if parts and not rows:
            return (*parts[:-1], replace(parts[-1], last=position))
        kept = parts[: len(parts) - absorbed(parts, rows)]
        start = _end(kept)
        step = max(position - start, 1) if table.keyed else CHUNK_POSITIONS
        written = []
        for first in range(start, max(position, start + 1), step):
            last = min(first + step, position)
            select = (
                f"{table.rows()} WHERE workspace = '{workspace}'"
                f" AND {table.order} > {first} AND {table.order} <= {last} ORDER BY {table.order}"
            )
            path = state.folder / self._name(table, last)
            written.append(write(con, path, select, (first, last), rows))
        return kept + tuple(written)

    def _compact(self, state: _Published) -> None:
        """Merge parts while queries go on; what a refresh has taken up meanwhile is left as it is."""
        for table in TABLES:
            while True:
                with state.lock:
                    parts = state.parts[table.name]
                run = mergeable(parts, keyed=table.keyed)
                if run is None or not self._merge(state, table, parts[run]):
                    break

    def _merge(self, state: _Published, table: Table, old: Parts) -> bool:
        files = [str(state.folder / part.file) for part in old]
        with duckdb.connect(":memory:", config=_MERGER) as con:
            con.execute("SET TimeZone = 'UTC'")
            path = state.folder / self._name(table, old[-1].last)
            rows = sum(part.rows for part in old)
            new = write(con, path, table.latest(files), (old[0].first, old[-1].last), rows)
        with state.lock:
            parts = state.parts[table.name]
            place = _place(parts, old)
            if place is None:
                (state.folder / new.file).unlink()
                return False
            merged = replace(new, last=parts[place + len(old) - 1].last)
            self._replace(state, {**state.parts, table.name: (*parts[:place], merged, *parts[place + len(old) :])})
        return True

    def _name(self, table: Table, position: int) -> str:
        return f"{table.name}-{position}-{self._token}-{next(self._numbers)}.parquet"

    def _replace(self, state: _Published, parts: dict[str, Parts]) -> None:
        old, new = _files(state.parts), _files(parts)
        state.parts = parts
        if any(durable and name not in old for name, durable in new.items()):
            snapshots.save(state.folder, self._views.incarnation, parts)
        state.retired |= old.keys() - new.keys()
        _collect(state)


def _count_by_workspace(con: duckdb.DuckDBPyConnection, after: int, upto: int) -> list[tuple[str, int]]:
    return con.execute(
        "SELECT workspace, count(*) FROM events WHERE position > ? AND position <= ? GROUP BY workspace",
        [after, upto],
    ).fetchall()


def _files(parts: dict[str, Parts]) -> dict[str, bool]:
    """Give the names of all files, and which are durable."""
    return {part.file: part.durable for listed in parts.values() for part in listed}


def _end(parts: Parts) -> int:
    return parts[-1].last if parts else 0


def _place(parts: Parts, run: Parts) -> int | None:
    """Find where a run of parts still stands. The last one may have been found to reach further meanwhile."""
    names, wanted = [part.file for part in parts], [part.file for part in run]
    for place in range(len(names) - len(wanted) + 1):
        if names[place : place + len(wanted)] == wanted:
            return place
    return None


def _collect(state: _Published) -> None:
    """Delete files that no snapshot has and no query reads."""
    for name in [name for name in state.retired if state.users[name] <= 0]:
        (state.folder / name).unlink(missing_ok=True)
        state.retired.discard(name)
        del state.users[name]
