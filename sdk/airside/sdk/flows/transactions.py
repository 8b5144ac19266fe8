"""Transactions: tasks that count together, with hooks to make final what they did, or to undo it."""

import inspect
import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextvars import Token
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Literal

from airside.events.run_states import State as Kind
from airside.sdk.flows import context, results
from airside.sdk.flows.digests import digest
from airside.sdk.flows.exceptions import BadOption
from airside.sdk.flows.storage import storage

if TYPE_CHECKING:
    from airside.sdk.flows.futures import Future
    from airside.sdk.flows.task import Task

_log = logging.getLogger("airside.flows")
#: Called with the transaction; one that takes two arguments is also given what the task did, as a Done.
TransactionHook = Callable[..., Any]
Commit = Literal["lazy", "eager", "off"]


class Stage(StrEnum):
    """How far a transaction is."""

    OPEN = "open"
    COMMITTED = "committed"
    ROLLED_BACK = "rolled_back"


@dataclass(frozen=True, slots=True)
class Done:
    """A task that completed inside a transaction: its name, what it was called with and what it gave."""

    task: "Task[..., Any]"
    parameters: Mapping[str, Any]
    value: Any


@dataclass(eq=False, kw_only=True)
class Transaction:
    """Tasks that count together. `set` and `get` pass values from tasks to their hooks."""

    key: str | None = None
    commit_mode: Commit = "lazy"
    storage: str | None = None
    stage: Stage = Stage.OPEN
    parent: "Transaction | None" = None
    _done: "list[Done | Transaction]" = field(default_factory=list)
    _futures: "list[tuple[Future[Any], Task[..., Any], Mapping[str, Any]]]" = field(default_factory=list)
    _values: dict[str, Any] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _token: Token[Any] | None = None

    def set(self, name: str, value: Any) -> None:
        """Remember a value."""
        self._values[name] = value

    def get(self, name: str, default: Any = None) -> Any:
        """Give a remembered value, also one of a transaction around this one."""
        if name in self._values:
            return self._values[name]
        return self.parent.get(name, default) if self.parent is not None else default

    @property
    def is_committed(self) -> bool:
        """Whether this transaction, or one with its key before, also in another process, is committed."""
        if self.stage is Stage.COMMITTED:
            return True
        return self.key is not None and results.find(storage(self.storage), self._name(self.key)) is not None

    def add(self, task: "Task[..., Any]", parameters: Mapping[str, Any], value: Any) -> None:
        """Note that a task completed."""
        with self._lock:
            self._done.append(Done(task, parameters, value))

    def await_also(self, future: "Future[Any]", task: "Task[..., Any]", parameters: Mapping[str, Any]) -> None:
        """Wait for this task too before the end."""
        with self._lock:
            self._futures.append((future, task, parameters))

    def commit(self) -> None:
        """Call the tasks' `on_commit` hooks, in the order of completion. If one fails, roll back and raise."""
        if self.stage is not Stage.OPEN:
            return
        try:
            for done, owner in self._each():
                for hook in done.task.commit_hooks:
                    _call(hook, owner, done)
            self._settle(Stage.COMMITTED)
        except BaseException:
            self.rollback()
            raise

    def rollback(self) -> None:
        """Call the tasks' `on_rollback` hooks, the last first. What one raises is logged, and the others follow."""
        if self.stage is not Stage.OPEN:
            return
        for done, owner in reversed(list(self._each())):
            for hook in reversed(done.task.rollback_hooks):
                try:
                    _call(hook, owner, done)
                except Exception:  # noqa: BLE001 - people's code; the others must be undone all the same
                    _log.exception("a rollback hook of %s failed", done.task.name)
        self._settle(Stage.ROLLED_BACK)

    def __enter__(self) -> "Transaction":
        self._token = context.transaction.set(self)
        return self

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        self._leave()
        for future, _, _ in self._futures if _may_wait(error) else ():
            future.wait()
        self._end(error)

    async def __aenter__(self) -> "Transaction":
        return self.__enter__()

    async def __aexit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        self._leave()
        for future, _, _ in self._futures if _may_wait(error) else ():
            await future.wait_async()
        self._end(error)

    def _leave(self) -> None:
        if self._token is not None:
            context.transaction.reset(self._token)
            self._token = None

    def _end(self, error: BaseException | None) -> None:
        """Commit or roll back. A submitted task that failed counts as the block's failure."""
        failed: BaseException | None = None
        for future, task, parameters in self._futures:
            state = future.state
            if state is None:
                continue  # the block was interrupted
            if state.kind is Kind.COMPLETED:
                self.add(task, parameters, state.value)
            elif not state.is_completed and failed is None:
                found = state.result(raise_on_failure=False)
                failed = found if isinstance(found, BaseException) else None
        if error is not None or failed is not None:
            self.rollback()
            if error is None and failed is not None:
                raise failed
        elif self.commit_mode == "eager" or (self.commit_mode == "lazy" and self.parent is None):
            self.commit()
        elif self.commit_mode == "lazy" and self.parent is not None and self.stage is Stage.OPEN:
            with self.parent._lock:
                self.parent._done.append(self)

    def _each(self) -> "Iterator[tuple[Done, Transaction]]":
        """Give what completed, in order, each with the transaction that it belongs to."""
        for one in list(self._done):
            if isinstance(one, Transaction):
                yield from one._each()
            else:
                yield one, self

    def _settle(self, stage: Stage) -> None:
        self.stage = stage
        for one in self._done:
            if isinstance(one, Transaction):
                one._settle(stage)
        if stage is Stage.COMMITTED and self.key is not None:
            results.keep(storage(self.storage), self._name(self.key), {"time": time.time()}, form="json")

    @staticmethod
    def _name(key: str) -> str:
        return f"transactions/{digest(key)}"


def transaction(key: str | None = None, *, commit: Commit = "lazy", result_storage: str | None = None) -> Transaction:
    """Begin a block whose tasks count together: `with transaction() as txn:`, or `async with`.

    When the block ends, tasks' `on_commit` hooks are called; when it raises, or a task submitted in it fails, the
    `on_rollback` hooks of the tasks that completed, the last first. `commit`: `lazy` leaves a nested transaction to the
    one around it, `eager` commits at the block's end, `off` only when `txn.commit()` is called. With a `key`,
    `txn.is_committed` tells whether it has been committed before, by any process with the same storage.
    """
    if commit not in ("lazy", "eager", "off"):
        raise BadOption(f"commit must be lazy, eager or off, not {commit!r}")
    if key is not None and (not isinstance(key, str) or not key):
        raise BadOption("key must be a text")
    return Transaction(key=key, commit_mode=commit, storage=result_storage, parent=context.transaction.get())


def check_hook(hook: Any) -> None:
    """Refuse what cannot be a hook. Raises BadOption."""
    if not callable(hook) or inspect.iscoroutinefunction(hook):
        raise BadOption("a hook of a transaction must be a plain function of (transaction) or (transaction, done)")


def _may_wait(error: BaseException | None) -> bool:
    return error is None or isinstance(error, Exception)


def _call(hook: TransactionHook, owner: Transaction, done: Done) -> None:
    many = len(inspect.signature(hook).parameters) > 1
    _ = hook(owner, done) if many else hook(owner)
