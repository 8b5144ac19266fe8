"""A snapshot of one workspace: a position, the Parquet files that hold its rows, and the views over them."""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from itertools import takewhile
from pathlib import Path
from typing import Any, Final

import duckdb

from airside.coordinator.views import schema
from airside.coordinator.views.parts import Part, Parts

MANIFEST: Final = "manifest.json"
_FORMAT: Final = 1
_LARGE_ROWS: Final = 128


@dataclass(frozen=True, slots=True)
class Table:
    """How a table is published: by the column that tells where a row was changed last, once or again and again."""

    name: str
    order: str
    keyed: bool = False
    weight: str | None = None  # the column that tells how many bytes a row has, where that can be many

    def rows(self) -> str:
        """Give the SELECT of what goes into files, of all workspaces."""
        return _SQL[f"{self.name}_rows"]

    def latest(self, files: list[str]) -> str:
        """Give the SELECT of the rows that are valid among these parts, given oldest first."""
        everything = f"SELECT * FROM read_parquet({listed(files)})"  # noqa: S608
        if not self.keyed or len(files) < 2:
            return everything
        newer = f"SELECT id, {self.order} FROM read_parquet({listed(files[1:])})"  # noqa: S608
        return f"{everything} AS o ANTI JOIN ({newer}) AS n ON n.id = o.id AND n.{self.order} > o.{self.order}"

    def view(self, workspace: str, files: list[str]) -> str:
        """Give the statement that makes the view over these parts. The workspace's name is known to be plain."""
        return (
            f"CREATE VIEW {self.name} AS WITH parts AS NOT MATERIALIZED ({self.latest(files)})"  # noqa: S608
            f" SELECT '{workspace}' AS workspace, * FROM ({_SQL[f'{self.name}_view']})"
        )


TABLES: Final = (
    Table("events", "position", weight="bytes"),
    Table("firings", "log_position"),
    Table("dead_letters", "position"),
    Table("resources", "last_position", keyed=True),
    Table("runs", "last_position", keyed=True),
    Table("actions", "last_position", keyed=True),
    Table("automations", "last_position", keyed=True),
)
_SQL: Final = schema.statements("published")


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What a query reads. The files are in `folder` and stay there until the snapshot is given back."""

    workspace: str
    folder: Path
    position: int
    parts: Mapping[str, Parts]

    @property
    def files(self) -> set[str]:
        """The names of all files."""
        return {part.file for parts in self.parts.values() for part in parts}

    def view_definitions(self) -> list[str]:
        """Give the statements that make the views, for a process whose working directory is the folder."""
        return [table.view(self.workspace, [part.file for part in self.parts[table.name]]) for table in TABLES]


def quoted(file: str | Path) -> str:
    """Write a file's name for SQL."""
    return "'" + str(file).replace("'", "''") + "'"


def listed(files: list[str]) -> str:
    """Write files' names as a list for SQL, the newest first: who asks for the last rows need not read the others."""
    return f"[{', '.join(map(quoted, reversed(files)))}]"


def write(con: duckdb.DuckDBPyConnection, path: Path, select: str, *, durable: bool, large: bool = False) -> int:
    """Write rows into a file and say how many there were. A durable file is on disk for certain afterwards.

    A group of rows is in memory until it is written, so `large` rows come in small groups.
    """
    codec = "zstd" if durable else "snappy"  # small ones are soon written again
    group = f", ROW_GROUP_SIZE {_LARGE_ROWS}" if large else ""
    copy = f"COPY ({select}) TO {quoted(path)} (FORMAT parquet, COMPRESSION {codec}{group})"
    ((rows,),) = con.execute(copy).fetchall()
    path.chmod(0o444)
    if durable:
        sync(path)
    written: int = rows
    return written


def count_rows(con: duckdb.DuckDBPyConnection, folder: Path, parts: Parts) -> int:
    """Count the rows in files."""
    files = listed([str(folder / part.file) for part in parts])
    rows: int = con.execute(f"SELECT sum(num_rows) FROM parquet_file_metadata({files})").fetchall()[0][0]  # noqa: S608
    return rows


def save(folder: Path, incarnation: str, parts: Mapping[str, Parts]) -> None:
    """Write down which parts may be used after a restart: of each table those that are durable, up to the first gap."""
    kept = {
        name: [
            {**asdict(part), "bytes": (folder / part.file).stat().st_size}
            for part in takewhile(lambda part: part.durable, own)
        ]
        for name, own in parts.items()
    }
    manifest = {"format": _FORMAT, "schema": schema.VERSION, "incarnation": incarnation, "tables": kept}
    new = folder / f"{MANIFEST}.new"
    new.write_text(json.dumps(manifest))
    sync(new)
    new.replace(folder / MANIFEST)
    sync(folder)


def load(folder: Path, incarnation: str, position: int) -> dict[str, Parts]:
    """Give the parts that are there from before and fit these views; whatever else is in the folder is deleted."""
    parts = _load(folder, incarnation, position)
    kept = {part.file for own in parts.values() for part in own}
    folder.mkdir(parents=True, exist_ok=True)
    for file in folder.iterdir():
        if file.name not in kept and file.name != MANIFEST:
            file.unlink()
    return parts


def sync(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _load(folder: Path, incarnation: str, position: int) -> dict[str, Parts]:
    nothing: dict[str, Parts] = {table.name: () for table in TABLES}
    try:
        manifest: dict[str, Any] = json.loads((folder / MANIFEST).read_bytes())
        if (manifest["format"], manifest["schema"], manifest["incarnation"]) != (
            _FORMAT,
            schema.VERSION,
            incarnation,
        ):
            return nothing
        found = {name: _parts(folder, manifest["tables"][name]) for name in nothing}
    except (OSError, ValueError, KeyError, TypeError):
        return nothing
    ahead = any(part.last > position for parts in found.values() for part in parts)
    return nothing if ahead else found


def _parts(folder: Path, described: list[dict[str, Any]]) -> Parts:
    parts = []
    for entry in described:
        size = entry.pop("bytes")
        part = Part(**entry)
        if (folder / part.file).stat().st_size != size:
            raise ValueError(part.file)
        parts.append(part)
    return tuple(parts)
