"""Snapshots of the views for people's SQL, which never runs on the views themselves.

A query asks for a snapshot; when the views have moved on, the rows that came since are written to small files first,
in one transaction, so that all tables of a snapshot show the same position. Large files are made in the background.
Files are never changed, and deleted once no query reads them and no newer snapshot has them.
"""

import logging
import secrets
import threading
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from itertools import count, pairwise
from pathlib import Path
from typing import Final

import duckdb

from airside.coordinator.views import snapshot as snapshots
from airside.coordinator.views.parts import MergePolicy, Part, Parts
from airside.coordinator.views.snapshot import TABLES, Snapshot, Table
from airside.coordinator.views.store import Views
from airside.events.model import is_workspace

FRESH_SECONDS: Final = 0.2  # a query may see the views as they were so long ago
CHUNK_POSITIONS: Final = 1_048_576  # at most so many rows go into one file when much is to be caught up with
CHUNK_KILOBYTES: Final = 32_768  # and of large rows about so much

_MERGER: Final[dict[str, str | bool | int | float | list[str]]] = {"threads": 1, "memory_limit": "512MB"}


_log = logging.getLogger("airside.views")


@dataclass(slots=True)
class _Published:
    """One workspace's folder. Everything in here is used under its lock."""

    folder: Path
    parts: dict[str, Parts]
    position: int = -1
    made: float = 0.0
    behind: int = 0
    users: Counter[str] = field(default_factory=Counter)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def hold(self, names: Iterable[str]) -> None:
        """Keep these files from being deleted, once more each."""
        self.users.update(names)

    def let_go(self, names: Iterable[str]) -> None:
        """Take back one hold on each of these files; those without any are deleted."""
        for name in names:
            self.users[name] -= 1
            if self.users[name] <= 0:
                del self.users[name]
                (self.folder / name).unlink(missing_ok=True)

    def replace(self, parts: dict[str, Parts]) -> bool:
        """Make these the newest snapshot's parts, which it holds. Says whether any of the new ones are durable."""
        old, new = _files(self.parts), _files(parts)
        self.parts = parts
        self.hold(new.keys() - old.keys())
        self.let_go(old.keys() - new.keys())
        return any(durable and name not in old for name, durable in new.items())


class Publisher:
    """Keeps snapshots in `<root>/<workspace>/`. May be used from any thread."""

    def __init__(self, views: Views, root: Path, policy: MergePolicy | None = None) -> None:
        """Use this folder, which nobody else may write to."""
        self._policy = policy or MergePolicy()
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
            self._heal(state)
            behind = self._views.position > state.position
            if state.position < 0 or (behind and time.monotonic() - state.made > FRESH_SECONDS):
                self._refresh(workspace, state)
            snapshot = Snapshot(workspace, state.folder, state.position, dict(state.parts))
            state.hold(snapshot.files)
            return snapshot

    def release(self, snapshot: Snapshot) -> None:
        """Give a snapshot back: its files may go."""
        state = self._open(snapshot.workspace)
        with state.lock:
            state.let_go(snapshot.files)

    def keep_up(self) -> None:
        """Publish and merge what has piled up. For the background; it may take a second per million rows."""
        for workspace in self._lagging():
            state = self._open(workspace)
            with state.lock:
                self._refresh(workspace, state)
        for state in list(self._published.values()):
            with state.lock:
                self._heal(state)
            self._compact(state)

    def _open(self, workspace: str) -> _Published:
        if not is_workspace(workspace):
            raise ValueError(f"not the name of a workspace: {workspace!r}")
        with self._opening:
            state = self._published.get(workspace)
            if state is None:
                folder = self._root / workspace
                parts = snapshots.load(folder, self._views.incarnation, self._views.position)
                state = self._published[workspace] = _Published(folder, parts)
                state.hold(_files(parts))
            return state

    def _heal(self, state: _Published) -> None:
        """Begin anew when somebody has deleted files or the whole folder."""
        if all((state.folder / name).exists() for name in _files(state.parts)):
            return
        _log.warning("files of the snapshot in %s are gone; it is written anew", state.folder.name)
        state.folder.mkdir(parents=True, exist_ok=True)
        state.replace({table.name: () for table in TABLES})
        state.position = -1

    def _lagging(self) -> list[str]:
        """Name the workspaces with so many new events that they should not wait for a query."""
        position = self._views.position
        if position - self._counted < self._policy.segment:
            return []
        for workspace, rows in self._views.read(_count_by_workspace, self._counted, position):
            self._open(workspace).behind += rows
        self._counted = position
        return [name for name, state in self._published.items() if state.behind >= self._policy.segment]

    def _refresh(self, workspace: str, state: _Published) -> None:
        names: list[str] = []
        try:
            position, parts = self._views.read(self._write_new, workspace, state, names)
            self._replace(state, parts)
            state.position, state.made, state.behind = position, time.monotonic(), 0
        finally:
            state.let_go(names)

    def _write_new(
        self, con: duckdb.DuckDBPyConnection, workspace: str, state: _Published, names: list[str]
    ) -> tuple[int, dict[str, Parts]]:
        """Write the rows that came since the last snapshot, all from one state of the views.

        The files it writes are added to `names` before they are begun.
        """
        ((position,),) = con.execute("SELECT position FROM log_position").fetchall()
        counts = ", ".join(
            f"(SELECT count(*) FROM {table.name} WHERE workspace = '{workspace}'"  # noqa: S608
            f" AND {table.order} > {_end(state.parts[table.name])})"
            for table in TABLES
        )
        (new_rows,) = con.execute(f"SELECT {counts}").fetchall()
        parts = dict(state.parts)
        for table, found in zip(TABLES, new_rows, strict=True):
            if found or not parts[table.name]:
                old = parts[table.name]
                rows = max(found, _kilobytes(con, table, workspace, _end(old)))
                kept = old[: len(old) - self._policy.absorbed(old, rows)]
                cuts = _cuts(con, table, workspace, after=_end(kept), upto=position, rows=found)
                parts[table.name] = kept + tuple(
                    self._write(
                        con,
                        self._begin(state, table, last, names),
                        select=_select(table, workspace, first, last),
                        positions=(first, last),
                        rows=min(rows, CHUNK_KILOBYTES) if len(cuts) > 2 and rows > found else rows,
                        large=rows > found,
                    )
                    for first, last in pairwise(cuts)
                )
            else:
                parts[table.name] = _through(parts[table.name], position)
        return position, parts

    def _begin(self, state: _Published, table: Table, position: int, names: list[str]) -> Path:
        """Name a new file, held as long as it is among `names`."""
        state.folder.mkdir(parents=True, exist_ok=True)
        name = f"{table.name}-{position}-{self._token}-{next(self._numbers)}.parquet"
        names.append(name)
        state.hold([name])
        return state.folder / name

    def _write(
        self,
        con: duckdb.DuckDBPyConnection,
        path: Path,
        *,
        select: str,
        positions: tuple[int, int],
        rows: int,
        large: bool = False,
    ) -> Part:
        """Write a part; `rows` is about how many it will have, with `large` rows how many kilobytes.

        One with many is on disk for certain afterwards.
        """
        durable = rows >= self._policy.segment
        written = snapshots.write(con, path, select, durable=durable, large=large)
        return Part(path.name, *positions, max(written, rows) if large else written, durable)

    def _compact(self, state: _Published) -> None:
        """Merge parts while queries go on; what a refresh has taken up meanwhile is left as it is."""
        for table in TABLES:
            while True:
                with state.lock:
                    parts = state.parts[table.name]
                run = self._policy.mergeable(parts, keyed=table.keyed)
                if run is None or not self._merge(state, table, parts[run]):
                    break

    def _merge(self, state: _Published, table: Table, old: Parts) -> bool:
        names = [part.file for part in old]
        with state.lock:
            state.hold(names)
            path = self._begin(state, table, old[-1].last, names)
        try:
            with duckdb.connect(":memory:", config=_MERGER) as con:
                con.execute("SET TimeZone = 'UTC'")
                new = self._write(
                    con,
                    path,
                    select=table.latest([str(state.folder / part.file) for part in old]),
                    positions=(old[0].first, old[-1].last),
                    rows=sum(part.rows for part in old),
                    large=sum(part.rows for part in old) > snapshots.count_rows(con, state.folder, old),
                )
            with state.lock:
                parts = state.parts[table.name]
                place = _place(parts, old)
                if place is not None:
                    merged = _through((new,), parts[place + len(old) - 1].last)
                    changed = parts[:place] + merged + parts[place + len(old) :]
                    self._replace(state, {**state.parts, table.name: changed})
                return place is not None
        finally:
            with state.lock:
                state.let_go(names)

    def _replace(self, state: _Published, parts: dict[str, Parts]) -> None:
        if state.replace(parts):
            snapshots.save(state.folder, self._views.incarnation, parts)


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


def _through(parts: Parts, position: int) -> Parts:
    """Note that up to this position nothing more is to be said than these parts say."""
    return (*parts[:-1], replace(parts[-1], last=position))


def _kilobytes(con: duckdb.DuckDBPyConnection, table: Table, workspace: str, after: int) -> int:
    """Tell how much the rows behind a position hold, where that can be much."""
    if table.weight is None:
        return 0
    query = f"SELECT sum({table.weight}) FROM {table.name} WHERE workspace = ? AND {table.order} > ?"  # noqa: S608
    return int(con.execute(query, [workspace, after]).fetchall()[0][0] or 0) // 1024


def _cuts(
    con: duckdb.DuckDBPyConnection, table: Table, workspace: str, *, after: int, upto: int, rows: int
) -> list[int]:
    """Give the positions between which the new parts lie: mostly one, several for very many or large rows."""
    upto = max(upto, after + 1)
    if table.weight is not None and _kilobytes(con, table, workspace, after) > max(rows, CHUNK_KILOBYTES):
        query = f"""
            SELECT max(position) FROM (
                SELECT {table.order} AS position,
                       sum({table.weight}) OVER (ORDER BY {table.order}) // {CHUNK_KILOBYTES * 1024} AS part
                FROM {table.name} WHERE workspace = ? AND {table.order} > ?
            ) GROUP BY part ORDER BY 1"""  # noqa: S608
        return [after, *(last for (last,) in con.execute(query, [workspace, after]).fetchall()[:-1]), upto]
    step = CHUNK_POSITIONS if rows > CHUNK_POSITIONS and not table.keyed else upto - after
    return [*range(after, upto, step), upto]


def _select(table: Table, workspace: str, first: int, last: int) -> str:
    return (
        f"{table.rows()} WHERE workspace = '{workspace}'"
        f" AND {table.order} > {first} AND {table.order} <= {last} ORDER BY {table.order}"
    )
