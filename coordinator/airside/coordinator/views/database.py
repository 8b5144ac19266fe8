"""Opening the views' DuckDB file: its settings, and what to do with a file that cannot be used."""

import logging
from pathlib import Path
from typing import Final
from uuid import uuid4

import duckdb

from airside.coordinator.views import schema
from airside.coordinator.views.exceptions import ViewsDamaged, ViewsInUse

SET_ASIDE_SUFFIX: Final = ".set-aside"

_SETTINGS: Final[dict[str, str | bool | int | float | list[str]]] = {
    "threads": 2,
    "memory_limit": "1GB",
    # Automatic checkpoints stall readers and the writer for seconds; Views.checkpoint runs at moments of its choosing.
    "checkpoint_threshold": "256MB",
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
    "allow_community_extensions": False,
    # Tables.run hands Arrow tables over by name. Nobody else's SQL runs in this process.
    "python_enable_replacements": True,
}

_log = logging.getLogger(__name__)


def connect(path: Path) -> duckdb.DuckDBPyConnection:
    """Open the file or make a new one.

    A file of another schema version, or one that is damaged, is set aside (the last such one is kept) and a new one is
    begun, to be filled from the log. Raises ViewsInUse when another process holds the file.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists():
        try:
            return _existing(path)
        except ViewsDamaged as error:
            kept = set_aside(path)
            _log.warning(
                "views are rebuilt from the log: %s; the old file is kept as %s",
                error,
                kept.name,
                extra={"action": "views_set_aside"},
            )
    con = _open(path)
    con.execute("BEGIN").execute(schema.script("schema"))
    con.execute("INSERT INTO views_file VALUES (?, ?)", [schema.VERSION, uuid4().hex])
    con.execute("COMMIT")
    return con


def set_aside(path: Path) -> Path:
    """Move the file and its write-ahead log out of the way, over what was set aside before."""
    kept = path.with_name(path.name + SET_ASIDE_SUFFIX)
    for old, new in ((path, kept), (_wal(path), _wal(kept))):
        new.unlink(missing_ok=True)
        if old.exists():
            old.replace(new)
    return kept


def replace(new: Path, path: Path) -> None:
    """Put a finished file in the place of another one, which must be closed. It must have been checkpointed."""
    _wal(path).unlink(missing_ok=True)
    new.replace(path)


def delete(path: Path) -> None:
    """Delete a file and its write-ahead log, if they are there."""
    path.unlink(missing_ok=True)
    _wal(path).unlink(missing_ok=True)


def _wal(path: Path) -> Path:
    return path.with_name(path.name + ".wal")


def _open(path: Path) -> duckdb.DuckDBPyConnection:
    con = duckdb.connect(path, config=_SETTINGS)
    con.execute("SET GLOBAL TimeZone = 'UTC'")
    return con


def _existing(path: Path) -> duckdb.DuckDBPyConnection:
    try:
        con = _open(path)
    except duckdb.Error as error:
        text = str(error)
        if "lock" in text.lower():
            raise ViewsInUse from error
        if isinstance(error, duckdb.IOException) and "not a valid DuckDB database file" not in text:
            raise
        raise ViewsDamaged(f"the file is damaged ({text.splitlines()[0]})") from error
    try:
        found = con.execute("SELECT version FROM views_file").fetchall()
    except duckdb.Error as error:
        con.close()
        raise ViewsDamaged("the file is of no known version") from error
    if found != [(schema.VERSION,)]:
        con.close()
        raise ViewsDamaged(f"the file is of version {found[0][0] if found else 'unknown'}, not {schema.VERSION}")
    return con
