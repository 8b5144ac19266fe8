"""The process in which people's SQL runs: one query, then it ends.

DuckDB knows no untrusted users, and its limits inside a process do not hold (a short query can take gigabytes or never
notice that it should stop). So a query gets a process of its own, which has given up everything but the files of its
snapshot before it sees the query, and which may be killed at any time. This file is run by its path and imports nothing
of Airside.

It reads one JSON line: {"folder", "files", "views", "sql", "parameters", "limit_rows", "limit_bytes", "cpu_seconds"},
and writes one JSON object: {"columns", "rows", "truncated"} or {"refused" or "too_large": message}.
"""

import base64
import datetime as dt
import os
import resource
import sys
import types
from collections.abc import Iterator
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

import _duckdb as duckdb  # the compiled part alone: a child is ready in half of the time
import orjson

ADDRESS_SPACE_BYTES: Final = 1_536 << 20
MEMORY_LIMIT: Final = "700MB"
MAX_OPEN_FILES: Final = 1_024
_ROWS_AT_ONCE: Final = 500
_INT64: Final = (-(2**63), 2**63 - 1)
_DOUBLE_DIGITS: Final = 15  # decimal digits that a double keeps
#: What DuckDB gives for infinite times, in ISO 8601.
_ENDLESS: Final = {"9999-12-31T23:59:59.999999": "infinity", "0001-01-01T00:00:00": "-infinity"}

#: What shows DuckDB's settings, and with them where files lie on this machine; and what runs SQL made of text.
_HIDDEN: Final = frozenset(
    {"current_setting", "duckdb_settings", "pg_settings", "query", "query_table", "json_execute_serialized_sql"}
)
_NAMES: Final = frozenset({"function_name", "table_name", "path"})

_SETTINGS: Final[dict[str, str | bool | int | float | list[str]]] = {
    "threads": 2,
    "memory_limit": MEMORY_LIMIT,
    "temp_directory": "",
    "max_temp_directory_size": "0B",
    "secret_directory": "none",
    "allow_persistent_secrets": False,
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
    "allow_community_extensions": False,
    "python_enable_replacements": False,
}


class Refused(Exception):
    """The statement is not one that may run here."""


class TooLarge(Exception):
    """A single row is larger than a whole result may be."""


class _Utc(dt.tzinfo):
    """The one zone of the session, as DuckDB asks for it. Else it would want the package pytz."""

    def utcoffset(self, moment: dt.datetime | None, /) -> dt.timedelta:
        return dt.timedelta(0)

    def dst(self, moment: dt.datetime | None, /) -> dt.timedelta:
        return dt.timedelta(0)

    def tzname(self, moment: dt.datetime | None, /) -> str:
        return "UTC"

    def localize(self, moment: dt.datetime) -> dt.datetime:
        return moment.replace(tzinfo=self)


def give_up_rights() -> None:
    """Bound what this process may use, for good. Writing to any file is over; the pipe to the parent is none."""
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE_BYTES, ADDRESS_SPACE_BYTES))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    files = min(MAX_OPEN_FILES, resource.getrlimit(resource.RLIMIT_NOFILE)[1])
    resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))


def connect() -> duckdb.DuckDBPyConnection:
    """Open an empty database in memory and start its threads; after that no process or thread can be started."""
    utc = _Utc()
    sys.modules["pytz"] = types.ModuleType("pytz")
    vars(sys.modules["pytz"]).update(utc=utc, timezone=lambda name: utc)
    con = duckdb.connect(":memory:", config=_SETTINGS)
    con.execute("SET GLOBAL TimeZone = 'UTC'")
    con.execute("SELECT sum(range) FROM range(1_000_000)").fetchall()
    resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))
    return con


def lock_down(con: duckdb.DuckDBPyConnection, folder: str, files: list[str], views: list[str]) -> None:
    """Make the views, then leave DuckDB nothing but these files, and no way to change that."""
    os.chdir(folder)
    for view in views:
        con.execute(view)
    con.execute("SET allowed_paths = $files", {"files": files})
    con.execute("SET enable_external_access = false")
    con.execute("SET lock_configuration = true")


def run(con: duckdb.DuckDBPyConnection, request: dict[str, Any]) -> bytes:
    """Run the one statement and give the result as JSON. Raises Refused, TooLarge, duckdb.Error."""
    statements = con.extract_statements(request["sql"])
    if len(statements) != 1:
        raise Refused(f"exactly one statement is wanted, not {len(statements)}")
    if statements[0].type != duckdb.StatementType.SELECT:
        raise Refused("only SELECT can be run here")
    refuse_hidden(con, request["sql"])
    result = con.execute(statements[0], request["parameters"] or None)
    columns = [{"name": column[0], "type": str(column[1])} for column in result.description]
    rows: list[bytes] = []
    room, truncated = request["limit_bytes"], False
    for row in _encoded(result, [column["type"] for column in columns]):
        if len(rows) == request["limit_rows"] or len(row) > room:
            if not rows and len(row) > room:
                raise TooLarge(f"one row takes {len(row):,} bytes; a result may take {room:,}")
            truncated = True
            break
        room -= len(row)
        rows.append(row)
    head = orjson.dumps({"columns": columns, "truncated": truncated})
    return head[:-1] + b',"rows":[' + b",".join(rows) + b"]}"


def refuse_hidden(con: duckdb.DuckDBPyConnection, sql: str) -> None:
    """Refuse a statement that names what must not be seen. Raises Refused."""
    text = sql.lower()
    if not any(name in text for name in _HIDDEN):
        return
    rows = con.execute("SELECT json_serialize_sql($sql::VARCHAR)::VARCHAR", {"sql": sql}).fetchall()
    parsed = orjson.loads(rows[0][0])
    hidden = _HIDDEN & (set(text.split()) if parsed["error"] else set(_named(parsed)))
    if hidden or parsed["error"]:
        raise Refused(f"{', '.join(sorted(hidden)) or 'this form of SELECT'} cannot be used here")


def _named(tree: Any) -> Iterator[str]:
    """Give the names of all functions and tables in a parsed statement."""
    rest = [tree]
    while rest:
        node = rest.pop()
        if isinstance(node, dict):
            for key, value in node.items():
                if key in _NAMES:
                    yield from (str(name).lower() for name in (value if isinstance(value, list) else [value]))
            rest += node.values()
        elif isinstance(node, list):
            rest += node


def plain(value: Any, kind: str = "") -> Any:
    """Turn a value that DuckDB gave into what JSON can hold without loss; `kind` is its SQL type."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return _json(value) if kind == "JSON" else value
    if isinstance(value, int):
        return value if _INT64[0] <= value <= _INT64[1] else str(value)
    if isinstance(value, float):
        return value if value - value == 0 else str(value)
    if isinstance(value, dict):
        return {str(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in value]
    return _scalar(value)


def _encoded(result: duckdb.DuckDBPyConnection, kinds: list[str]) -> Iterator[bytes]:
    while rows := result.fetchmany(_ROWS_AT_ONCE):
        for row in rows:
            yield orjson.dumps([plain(value, kind) for value, kind in zip(row, kinds, strict=True)])


def _scalar(value: Any) -> Any:
    if isinstance(value, Decimal):
        exact = len(value.as_tuple().digits) <= _DOUBLE_DIGITS
        return float(value) if exact and value.is_finite() else str(value)
    if isinstance(value, dt.datetime):
        text = value.isoformat().replace("+00:00", "Z")
        return _ENDLESS.get(text, text)
    if isinstance(value, dt.date | dt.time):
        return value.isoformat()
    if isinstance(value, dt.timedelta):
        return f"PT{value.total_seconds():f}S"
    if isinstance(value, bytes | bytearray):
        return base64.b64encode(value).decode()
    if isinstance(value, UUID):
        return str(value)
    return str(value)


def _json(text: str) -> Any:
    """Give a JSON column's value as it is, and as text where it is only nearly JSON."""
    try:
        orjson.loads(text)
    except orjson.JSONDecodeError:
        return text
    return orjson.Fragment(text)


def answer(con: duckdb.DuckDBPyConnection, request: dict[str, Any]) -> bytes:
    """Run the query and give the result, or why there is none."""
    try:
        lock_down(con, request["folder"], request["files"], request["views"])
        return run(con, request)
    except Refused as error:
        return orjson.dumps({"refused": str(error)})
    except (duckdb.OutOfMemoryException, MemoryError):
        return orjson.dumps({"too_large": "it needed more memory than a query may use"})
    except TooLarge as error:
        return orjson.dumps({"too_large": str(error)})
    except duckdb.Error as error:
        return orjson.dumps({"refused": cleaned(str(error), request["folder"])})
    except (ValueError, OverflowError, TypeError, RecursionError) as error:
        return orjson.dumps({"refused": f"the result cannot be written as JSON: {error}"})


def cleaned(message: str, folder: str) -> str:
    """Leave out of DuckDB's message where things lie on this machine."""
    return message.partition("Stack Trace")[0].replace(folder + "/", "").replace(folder, "").strip()


def main() -> None:
    """Wait for the one request, answer it and end at once."""
    give_up_rights()
    con = connect()
    line = sys.stdin.buffer.readline()
    if not line:
        return
    request = orjson.loads(line)
    seconds = request["cpu_seconds"]
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    sys.stdout.buffer.write(answer(con, request))
    sys.stdout.buffer.flush()
    os._exit(0)  # there is nothing to put in order, and a large result takes time to take apart


if __name__ == "__main__":
    main()
