"""One question to a database. It only reads, is bounded in time, and nothing stays open between two questions."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote, urlsplit

from airside.agent.watching.sql.target import SqlTarget
from airside.agent.watching.watcher import WatchError, WatchRefused
from airside.events import masking

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

_MAX_VALUE_CHARS: Final = 200


@dataclass(frozen=True, slots=True)
class Look:
    """What a table came to: the number of rows, and the largest value of the column as plain JSON."""

    rows: int | None
    largest: Any = None


def ask(target: SqlTarget) -> Look:
    """Ask once; blocks, call it from a thread. Raises WatchError, WatchRefused when a driver is missing."""
    try:
        row = _by_duckdb(target) if target.url.startswith("duckdb:") else _by_sqlalchemy(target)
    except WatchError:
        raise
    except Exception as error:  # noqa: BLE001 - each driver has its own; none may show the URL
        raise WatchError(f"{target.table} cannot be read: {_reason(error, target)}") from None
    values = list(row)
    rows = int(values.pop(0)) if target.counts else None
    return Look(rows, plain(values.pop(0)) if values else None)


def plain(value: Any) -> Any:
    """Write a database's value as plain JSON, the same each time."""
    if isinstance(value, datetime):
        return (value.astimezone(UTC) if value.tzinfo else value).isoformat()
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Decimal):
        return str(value)
    if value is None or isinstance(value, bool | int | float):
        return value
    return (value.hex() if isinstance(value, bytes) else str(value))[:_MAX_VALUE_CHARS]


def _by_duckdb(target: SqlTarget) -> Any:
    try:
        import duckdb  # noqa: PLC0415 - not in the base install
    except ImportError as error:
        raise WatchRefused("watching a DuckDB file needs duckdb: pip install duckdb") from error
    wanted = ["count(*)"] if target.counts else []
    where = f"{_quoted(target.schema or 'main')}.{_quoted(target.table)}"
    with duckdb.connect(_file(target), read_only=True) as connection, _bounded(target, connection.interrupt):
        moment = False
        if target.max_column:
            largest = f"max({_quoted(target.max_column)})"
            kind = str(connection.sql(f"SELECT {largest} FROM {where}").types[0])  # noqa: S608 - quoted; reads nothing
            moment = kind == "TIMESTAMP WITH TIME ZONE"
            wanted.append(f"make_timestamp(epoch_us({largest}))" if moment else largest)
        row = connection.execute(f"SELECT {', '.join(wanted)} FROM {where}").fetchone()  # noqa: S608 - quoted
    if moment and row and row[-1] is not None:  # asked for as it is, DuckDB would want pytz here
        return *row[:-1], row[-1].replace(tzinfo=UTC)
    return row


def _by_sqlalchemy(target: SqlTarget) -> Any:
    try:
        import sqlalchemy  # noqa: PLC0415 - not in the base install
    except ImportError as error:
        raise WatchRefused("watching a table needs SQLAlchemy: pip install 'airside[watch]'") from error
    schema = None if target.url.startswith("sqlite") and target.schema == "main" else target.schema
    column: Any = sqlalchemy.column(target.max_column) if target.max_column else None
    table = sqlalchemy.table(target.table, *([column] if column is not None else []), schema=schema)
    wanted: list[Any] = [sqlalchemy.func.count()] if target.counts else []
    wanted += [sqlalchemy.func.max(table.c[target.max_column])] if target.max_column else []
    engine = _engine(target)
    try:
        with engine.connect() as connection:
            _only_read(connection, target)
            raw = connection.connection.driver_connection
            interrupt = getattr(raw, "interrupt", None) or getattr(raw, "cancel", None) or (lambda: None)
            with _bounded(target, interrupt):
                return connection.execute(sqlalchemy.select(*wanted).select_from(table)).one()
    finally:
        engine.dispose()


def _engine(target: SqlTarget) -> "Engine":
    import sqlalchemy  # noqa: PLC0415
    from sqlalchemy.pool import NullPool  # noqa: PLC0415

    if not target.url.startswith("sqlite"):
        try:
            return sqlalchemy.create_engine(target.url, poolclass=NullPool)
        except (ImportError, sqlalchemy.exc.NoSuchModuleError) as error:
            raise WatchRefused(f"{target.variable}: install its database's driver: {error}") from None
    import sqlite3  # noqa: PLC0415
    from pathlib import Path  # noqa: PLC0415

    address = f"{Path(_file(target)).absolute().as_uri()}?mode=ro"
    return sqlalchemy.create_engine(
        "sqlite://",
        poolclass=NullPool,
        creator=lambda: sqlite3.connect(address, uri=True, timeout=5.0, check_same_thread=False),
    )


def _only_read(connection: "Connection", target: SqlTarget) -> None:
    """Have the database itself refuse writing and long statements, where it can."""
    milliseconds = int(target.timeout_seconds * 1_000)
    commands = {
        "postgresql": ("SET TRANSACTION READ ONLY", f"SET LOCAL statement_timeout = {milliseconds}"),
        "mysql": ("SET SESSION TRANSACTION READ ONLY", f"SET SESSION MAX_EXECUTION_TIME = {milliseconds}"),
        "mariadb": ("SET SESSION TRANSACTION READ ONLY", f"SET SESSION max_statement_time = {milliseconds / 1_000}"),
    }
    for command in commands.get(connection.dialect.name, ()):
        connection.exec_driver_sql(command)


@contextmanager
def _bounded(target: SqlTarget, interrupt: Callable[[], Any]) -> Iterator[None]:
    """Interrupt the statement after its time. Raises WatchError then."""
    late = threading.Event()

    def stop() -> None:
        late.set()
        interrupt()

    timer = threading.Timer(target.timeout_seconds, stop)
    timer.daemon = True
    timer.start()
    try:
        yield
    except Exception:
        if late.is_set():
            raise WatchError(f"{target.table} took longer than {target.timeout_seconds:g} s to read") from None
        raise
    finally:
        timer.cancel()


def _file(target: SqlTarget) -> str:
    return unquote(urlsplit(target.url).path).removeprefix("/")


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _reason(error: Exception, target: SqlTarget) -> str:
    """Say why in one line, without what the database's URL holds."""
    text = str(getattr(error, "orig", None) or error).strip().partition("\n")[0]
    parts = urlsplit(target.url)
    for secret in (target.url, parts.netloc, parts.query, parts.password or ""):
        text = text.replace(secret, masking.MASK) if len(secret) > 3 else text
        text = text.replace(unquote(secret), masking.MASK) if len(secret) > 3 else text
    return masking.text(f"{type(error).__name__}: {text}")[:300]
