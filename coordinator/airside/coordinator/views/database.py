"""Opening the views' DuckDB file: its settings, and what to do with a file that cannot be used."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final
from uuid import uuid4

import duckdb

from airside.coordinator.views import schema
from airside.coordinator.views.exceptions import ViewsBusy, ViewsDamaged, ViewsInUse

SET_ASIDE_SUFFIX: Final = ".set-aside"

_SETTINGS: Final[dict[str, str | bool | int | float | list[str]]] = {
    "threads": 2,
    "memory_limit": "512MB",  # mostly a cache of the file; what does not fit goes to a temporary folder beside it
    # Automatic checkpoints stall readers and the writer for seconds; Views.checkpoint runs at moments of its choosing.
    "checkpoint_threshold": "256MB",
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
    "allow_community_extensions": False,
    # Tables.run hands Arrow tables over by name. Nobody else's SQL runs in this process.
    "python_enable_replacements": True,
}

_BROKEN: Final = (duckdb.FatalException, duckdb.InternalException, duckdb.SerializationException)
_SIGNS_OF_DAMAGE: Final = (
    "Corrupt ",
    "not a valid DuckDB database file",
    "Could not read enough bytes",
    "Failure while replaying WAL",
)

_log = logging.getLogger(__name__)


def connect(path: Path) -> duckdb.DuckDBPyConnection:
    """Open the file or begin a new one.

    Raises ViewsInUse when another process holds the file, ViewsDamaged when it cannot be read or is of another schema
    version.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    new = not path.exists()
    con = _open(path)
    try:
        with damage_told():
            if new:
                con.execute("BEGIN").execute(schema.script("schema"))
                con.execute("INSERT INTO views_file VALUES (?, ?)", [schema.VERSION, uuid4().hex])
                con.execute("COMMIT")
            _check_version(con)
    except BaseException:
        con.close()
        raise
    return con


@contextmanager
def damage_told() -> Iterator[None]:
    """Turn those errors of DuckDB that mean that the file cannot be trusted into ViewsDamaged."""
    try:
        yield
    except duckdb.Error as error:
        text = str(error)
        if isinstance(error, _BROKEN) or any(sign in text for sign in _SIGNS_OF_DAMAGE):
            raise ViewsDamaged(f"{ViewsDamaged.__doc__} ({text.splitlines()[0]})") from error
        raise


@contextmanager
def busy_told() -> Iterator[None]:
    """Turn what a reader meets when memory is short, or the writer wants to be alone, into ViewsBusy."""
    try:
        yield
    except (duckdb.OutOfMemoryException, duckdb.InterruptException) as error:
        raise ViewsBusy from error


def set_aside(path: Path, reason: str) -> None:
    """Move the file and its write-ahead log out of the way, over what was set aside before, and say so."""
    kept = path.with_name(path.name + SET_ASIDE_SUFFIX)
    for old, new in ((path, kept), (_wal(path), _wal(kept))):
        new.unlink(missing_ok=True)
        if old.exists():
            old.replace(new)
    _log.warning(
        "the views are made anew from the log: %s The old file is kept as %s",
        reason,
        kept.name,
        extra={"action": "views_set_aside"},
    )


def check_free(path: Path) -> None:
    """Make sure that no other process has the file open. Raises ViewsInUse."""
    if not path.exists():
        return
    try:
        _open(path).close()
    except ViewsDamaged:
        return


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
    try:
        with damage_told():
            con = duckdb.connect(path, config=_SETTINGS)
    except duckdb.IOException as error:
        if "Could not set lock" in str(error):
            raise ViewsInUse from error
        raise
    con.execute("SET GLOBAL TimeZone = 'UTC'")
    return con


def _check_version(con: duckdb.DuckDBPyConnection) -> None:
    try:
        found = con.execute("SELECT version FROM views_file").fetchall()
    except duckdb.CatalogException:
        found = []
    if found != [(schema.VERSION,)]:
        version = found[0][0] if found else "unknown"
        raise ViewsDamaged(f"The file is of version {version}, this Airside works with {schema.VERSION}.")
