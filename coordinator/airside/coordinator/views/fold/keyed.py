"""Rows of which there is one per (workspace, id), changed as events come.

DuckDB is slow at finding single rows of a large table and fast at taking whole batches. So the rows that changed last
are kept in memory, an index of keys tells which others exist at all, and each batch deletes and appends its changed
rows with one statement each.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, Generic, Protocol, TypeAlias, TypeVar

import duckdb
import pyarrow as pa

from airside.coordinator import ids
from airside.coordinator.views import tables

Ident: TypeAlias = tuple[str, str]

REMEMBERED_ROWS: Final = 20_000  # about 30 MB of resources

_FORGOTTEN: Final = {
    "workspace": tables.TEXT,
    "id": tables.TEXT,
    "id_key": tables.KEY,
    "last_position": tables.NUMBER,
}
_WANTED: Final = {"id_key": tables.KEY}


class Row(Protocol):
    """One row, changed in place while a batch is folded."""

    last_position: int

    def copy(self) -> Any: ...


R = TypeVar("R", bound=Row)


class Keyed(Generic[R]):
    """The rows of one table."""

    def __init__(
        self,
        table: str,
        columns: dict[str, pa.DataType],
        *,
        from_row: Callable[..., R],
        to_row: Callable[[R], Sequence[Any]],
    ) -> None:
        """Describe the table. Workspace, id and id_key come first and are left out of everything given here."""
        self._table = table
        self._columns = {"workspace": tables.TEXT, "id": tables.TEXT, "id_key": tables.KEY} | columns
        self._from_row = from_row
        self._to_row = to_row
        self._index = ids.IdIndex()
        self._remembered: OrderedDict[Ident, R] = OrderedDict()
        self._loaded: dict[Ident, R] = {}
        self._changed: dict[Ident, R] = {}
        self._keys: dict[Ident, bytes] = {}

    def open(self, con: duckdb.DuckDBPyConnection) -> None:
        """Read the keys of the rows that are there."""
        keys = con.execute(f"SELECT id_key FROM {self._table}").fetchnumpy()["id_key"]  # noqa: S608
        self._index = ids.IdIndex()
        self._index.add(keys)

    def load(self, con: duckdb.DuckDBPyConnection, idents: Iterable[Ident]) -> None:
        """Make these rows known, so that `get` and `change` need not look for them."""
        missing = []
        for ident in idents:
            if (row := self._remembered.get(ident)) is not None:
                self._loaded[ident] = row
            elif ident not in self._keys:
                missing.append(ident)
            if ident not in self._keys:
                self._keys[ident] = ids.key(*ident)
        if not missing:
            return
        keys = ids.as_array(self._keys[ident] for ident in missing)
        known = self._index.known(keys)
        if not known:
            return
        wanted = pa.table({"id_key": pa.array(keys[known.mask], tables.KEY)})
        places = [place for (place,) in tables.run(con, f"places_{self._table}", wanted)]
        if not places:
            return
        for workspace, name, _, *rest in tables.ask(con, f"rows_{self._table}", places=places):
            self._loaded[workspace, name] = self._from_row(*rest)

    def get(self, ident: Ident) -> R | None:
        """Give the row as the batch has left it so far. It must not be changed."""
        return self._changed.get(ident) or self._loaded.get(ident)

    def change(self, ident: Ident) -> R | None:
        """Give the row to be changed in place, or None when there is none."""
        if (row := self._changed.get(ident)) is not None:
            return row
        if (row := self._loaded.get(ident)) is None:
            return None
        copied: R = row.copy()
        self._changed[ident] = copied
        return copied

    def put(self, ident: Ident, row: R) -> None:
        """Set a row that is new."""
        self._changed[ident] = row

    def write(self, con: duckdb.DuckDBPyConnection) -> None:
        """Write the changed rows, inside the batch's transaction."""
        if not self._changed:
            return
        changed = [(ident, int.from_bytes(self._keys[ident], "little")) for ident in self._changed]
        replaced = [(*ident, key, self._loaded[ident].last_position) for ident, key in changed if ident in self._loaded]
        if replaced:
            tables.run(con, f"forget_{self._table}", tables.arrow(_FORGOTTEN, replaced))
        rows = [(*ident, key, *self._to_row(self._changed[ident])) for ident, key in changed]
        tables.run(con, self._table, tables.arrow(self._columns, rows))

    def keep(self) -> None:
        """The batch was committed: remember its rows."""
        new = [self._keys[ident] for ident in self._changed if ident not in self._loaded]
        self._index.add(ids.as_array(new))
        for ident, row in self._changed.items():
            self._remembered[ident] = row
            self._remembered.move_to_end(ident)
        while len(self._remembered) > REMEMBERED_ROWS:
            self._remembered.popitem(last=False)
        self.drop()

    def drop(self) -> None:
        """Forget the batch."""
        self._loaded.clear()
        self._changed.clear()
        self._keys.clear()


class KeyedFold(Generic[R]):
    """A view of one row per (workspace, id): what its fold changes is written, then kept or dropped."""

    def __init__(self, rows: Keyed[R]) -> None:
        self._rows = rows
        self.open, self.write, self.keep, self.drop = rows.open, rows.write, rows.keep, rows.drop
