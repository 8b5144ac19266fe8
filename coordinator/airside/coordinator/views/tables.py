"""From Python rows to Arrow tables to DuckDB: the one way in which views are written.

One statement per table and batch; row by row it would be several hundred times slower.
"""

from collections.abc import Sequence
from typing import Any, Final

import duckdb
import pyarrow as pa

from airside.coordinator.views import schema

TEXT: Final = pa.string()
NUMBER: Final = pa.int64()
REAL: Final = pa.float64()
FLAG: Final = pa.bool_()
KEY: Final = pa.uint64()
BYTES: Final = pa.binary()
MOMENT: Final = pa.timestamp("us", tz="UTC")

_WRITES = schema.statements("writes")


def arrow(columns: dict[str, pa.DataType], rows: Sequence[Sequence[Any]]) -> pa.Table:
    """Turn rows, each in the order of `columns`, into an Arrow table."""
    values = zip(*rows, strict=True) if rows else ([] for _ in columns)
    return pa.table({name: pa.array(cells, kind) for (name, kind), cells in zip(columns.items(), values, strict=True)})


def run(con: duckdb.DuckDBPyConnection, statement: str, incoming: pa.Table) -> list[tuple[Any, ...]]:
    """Run a named statement of writes.sql, in which `incoming` is the given table.

    DuckDB finds the table by the name of this function's parameter, which costs half of registering it.
    """
    return con.execute(_WRITES[statement]).fetchall()


def ask(con: duckdb.DuckDBPyConnection, statement: str, **parameters: object) -> list[tuple[Any, ...]]:
    """Run a named statement of writes.sql with bound parameters."""
    return con.execute(_WRITES[statement], parameters).fetchall()
