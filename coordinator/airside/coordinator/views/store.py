"""The views: what the projector folds the log into, and where everybody reads.

One thread writes, a batch at a time: the rows and the log position they stand for are committed together, so that a
crash leaves the views at exactly one position, and an entry that comes again is seen to be old.
"""

import asyncio
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Concatenate, Final, ParamSpec, TypeVar

import duckdb
import msgspec
import pyarrow as pa

from airside.coordinator import ids
from airside.coordinator.views import database, tables
from airside.coordinator.views.exceptions import ViewsDamaged
from airside.coordinator.views.fold import dead_letters
from airside.coordinator.views.fold.actions import Actions
from airside.coordinator.views.fold.automations import Automations
from airside.coordinator.views.fold.base import Entry, Fold
from airside.coordinator.views.fold.dead_letters import DeadLetter
from airside.coordinator.views.fold.events import Events
from airside.coordinator.views.fold.firings import Firings
from airside.coordinator.views.fold.plan import Plan
from airside.coordinator.views.fold.resources import Resources
from airside.coordinator.views.fold.runs import Runs
from airside.coordinator.views.gate import ReadGate
from airside.events import LogDamaged, Record
from airside.events.log import Batch

P = ParamSpec("P")
T = TypeVar("T")

#: Entries between checkpoints under load: a row group of DuckDB's. Each is a pause of about a quarter of a second; rows
#: that wait for one are in memory.
CHECKPOINT_ROWS: Final = 122_880
CHECKPOINT_BYTES: Final = 128 * 2**20  # of payload
READ_THREADS: Final = 4


class Folded(msgspec.Struct, frozen=True):
    """What a batch was: events not seen before, how many were known already, and what could not be folded."""

    new: list[Record]
    duplicates: int
    dead: list[DeadLetter]


class Witness(msgspec.Struct, frozen=True):
    """How far the views have read, and by what to tell that the log is still the same one."""

    position: int
    event_id: str | None
    stream_created: str | None


def folds() -> list[Fold]:
    """Make one fold per view."""
    return [Events(), Resources(), Runs(), Firings(), Actions(), Automations()]


class Views:
    """The views' file, open. `apply` and `checkpoint` are for one thread; reading is for any."""

    def __init__(self, con: duckdb.DuckDBPyConnection, path: Path) -> None:
        """Use `Views.open`."""
        self.path = path
        #: Which making of the file this is: a rebuilt one is another.
        self.incarnation: str = con.execute("SELECT incarnation FROM views_file").fetchall()[0][0]
        self._root = con
        self._root_lock = threading.Lock()
        self._con = con.cursor()
        self._folds = folds()
        self._ids = ids.IdIndex()
        self._readers = ThreadPoolExecutor(READ_THREADS, thread_name_prefix="views-read")
        self._gate = ReadGate()
        self._since_checkpoint = 0
        self._bytes_since_checkpoint = 0
        self._closed = False
        try:
            self._witness: Witness = self._remember()
        except BaseException:
            self._con.close()  # else the file stays open as long as somebody looks at the error
            raise

    @classmethod
    def open(cls, path: Path) -> "Views":
        """Open the views, or begin new ones at position 0.

        A file of another version or a damaged one is set aside first. Raises ViewsInUse.
        """
        try:
            return cls._open(path)
        except ViewsDamaged as error:
            database.set_aside(path, str(error))
            return cls._open(path)

    @classmethod
    def _open(cls, path: Path) -> "Views":
        con = database.connect(path)
        try:
            with database.damage_told():
                return cls(con, path)
        except BaseException:
            con.close()
            raise

    def close(self) -> None:
        """Write everything into the file and close it. Closing twice does nothing."""
        if self._closed:
            return
        self._closed = True
        self._readers.shutdown(wait=True)
        with suppress(duckdb.Error):  # what is in the write-ahead log is read at the next start
            self.checkpoint()
        self._con.close()
        self._root.close()

    @property
    def position(self) -> int:
        """The last log position that is folded."""
        return self._witness.position

    @property
    def witness(self) -> Witness:
        """What the log must still hold, to be the one that was read."""
        return self._witness

    def bind(self, stream_created: str) -> None:
        """Note which incarnation of the log is read. Raises LogDamaged when it was another one before."""
        before = self._witness.stream_created
        if before == stream_created:
            return
        if before is not None:
            raise LogDamaged(
                f"the log was made at {stream_created}, the views were folded from one made at {before}. If that is"
                " meant, rebuild them with `airside views rebuild`"
            )
        self._con.execute("UPDATE log_position SET stream_created = ?", [stream_created]).fetchall()
        self._witness = msgspec.structs.replace(self._witness, stream_created=stream_created)

    def apply(self, batch: Batch, *, refused: Mapping[int, str] | None = None) -> Folded:
        """Fold the batch that follows the last one, and commit its rows together with its position.

        `refused` positions become dead letters, for the reasons given. Raises LogDamaged when entries are missing or
        come twice, ViewsDamaged when the file cannot be used any more.
        After any error the views are as before.
        """
        plan = Plan.of(batch, self.position)
        plan.refuse(refused or {})
        if not len(batch):
            return Folded([], 0, [])
        with database.damage_told():
            try:
                folded = self._write(plan)
            except duckdb.ConversionException:
                plan.refuse({**self._unwritable(plan), **(refused or {})})
                folded = self._write(plan)
        self._since_checkpoint += len(batch)
        self._bytes_since_checkpoint += sum(memoryview(record.event.payload).nbytes for record in batch.records)
        if self._since_checkpoint >= CHECKPOINT_ROWS or self._bytes_since_checkpoint >= CHECKPOINT_BYTES:
            self.checkpoint()
        return folded

    def checkpoint(self) -> bool:
        """Move committed rows from the write-ahead log into the file. For idle moments; says whether it was done."""
        if not self._since_checkpoint:
            return False
        try:
            self._con.execute("CHECKPOINT").fetchall()
        except (duckdb.TransactionException, duckdb.OutOfMemoryException):  # readers are in the way; another time
            return False
        self._since_checkpoint = self._bytes_since_checkpoint = 0
        return True

    def known(self, events: Sequence[tuple[str, str]]) -> set[tuple[str, str]]:
        """Tell which of these (workspace, id) of posted events are in the views already. For any thread."""
        keys = [ids.key(*event) for event in events]
        if not self._ids.known(ids.as_array(keys)):
            return set()
        with database.damage_told(), database.busy_told(), self._cursor() as con, self._gate.reading(con):
            numbers = self._confirmed(con, keys, events)
        return {events[number] for number in numbers}

    @property
    def ids(self) -> ids.IdIndex:
        """The keys of all events. A key that is not in there is new for sure; a key that is may be another id's."""
        return self._ids

    def read(
        self,
        function: Callable[Concatenate[duckdb.DuckDBPyConnection, P], T],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """Call a function of `views.reads` on one consistent state of the views. Raises ViewsBusy, ViewsDamaged."""
        with database.damage_told(), database.busy_told(), self._cursor() as con, self._gate.reading(con):
            con.execute("BEGIN TRANSACTION READ ONLY")
            return function(con, *args, **kwargs)

    async def run_read(
        self,
        function: Callable[Concatenate[duckdb.DuckDBPyConnection, P], T],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """Do the same in a thread of the readers."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._readers, lambda: self.read(function, *args, **kwargs))

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keep readers out, so that all memory is the writer's. For its thread."""
        with self._gate.alone():
            with database.damage_told():
                self.checkpoint()
            yield

    def _cursor(self) -> duckdb.DuckDBPyConnection:
        with self._root_lock:
            return self._root.cursor()

    def _remember(self) -> Witness:
        """Read what is kept in memory beside the file."""
        row = self._con.execute("SELECT position, event_id, stream_created FROM log_position").fetchall()[0]
        witness = Witness(*row)
        keys = self._con.execute("SELECT id_key FROM events").fetchnumpy()["id_key"]
        self._ids.add(keys, first=0, last=witness.position)
        for fold in self._folds:
            fold.open(self._con)
        return witness

    def _write(self, plan: Plan) -> Folded:
        try:
            self._con.execute("BEGIN")
            entries, duplicates = plan.new_entries(self._duplicates)
            for fold in self._folds:
                fold.fold(self._con, entries)
                fold.write(self._con)
            dead_letters.write(self._con, plan.dead)
            last = plan.last
            tables.ask(
                self._con,
                "move_position",
                position=last.position,
                received=last.received,
                event_id=last.event_id,
            )
            self._con.execute("COMMIT")
        except BaseException:
            self._undo()
            raise
        for fold in self._folds:
            fold.keep()
        self._ids.add(ids.as_array(entry.key for entry in entries), first=plan.first, last=last.position)
        self._witness = Witness(last.position, last.event_id, self._witness.stream_created)
        return Folded([entry.record for entry in entries], duplicates, plan.dead)

    def _undo(self) -> None:
        """Leave the transaction, whatever state it is in: a cursor whose rollback failed refuses all for ever."""
        for fold in self._folds:
            fold.drop()
        for leave in (self._con.rollback, self._con.close):
            with suppress(duckdb.Error):
                leave()
        self._con = self._cursor()
        found = self._con.execute("SELECT position FROM log_position").fetchall()
        if found != [(self.position,)]:
            raise ViewsDamaged(f"the file stands at {found}, but {self.position} was folded; it is opened again.")

    def _duplicates(self, entries: Sequence[Entry]) -> set[int]:
        return self._confirmed(
            self._con,
            [entry.key for entry in entries],
            [(entry.record.event.workspace, entry.record.event.id) for entry in entries],
        )

    def _confirmed(
        self, con: duckdb.DuckDBPyConnection, keys: list[bytes], events: Sequence[tuple[str, str]]
    ) -> set[int]:
        """Give the numbers of those ids that the table of events holds."""
        array = ids.as_array(keys)
        known = self._ids.known(array)
        if not known:
            return set()
        numbers: list[int] = known.mask.nonzero()[0].tolist()
        count = len(numbers)
        suspects = pa.table(
            {
                "number": pa.array(numbers, tables.NUMBER),
                "id_key": pa.array(array[numbers], tables.KEY),
                "workspace": pa.array([events[number][0] for number in numbers], tables.TEXT),
                "id": pa.array([events[number][1] for number in numbers], tables.TEXT),
                "first": pa.array([known.first] * count, tables.NUMBER),
                "last": pa.array([known.last] * count, tables.NUMBER),
            }
        )
        return {number for (number,) in tables.run(con, "known_ids", suspects)}

    def _unwritable(self, plan: Plan) -> dict[int, str]:
        """Find the payloads that are no JSON to DuckDB."""
        payloads = pa.table(
            {
                "position": pa.array([record.position for record in plan.records], tables.NUMBER),
                "payload": pa.array([bytes(record.event.payload) for record in plan.records], tables.TEXT),
            }
        )
        return {position: "payload: not valid JSON" for (position,) in tables.run(self._con, "unwritable", payloads)}
