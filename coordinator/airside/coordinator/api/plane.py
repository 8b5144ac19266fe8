"""What the API needs of the rest of the server, and nothing more."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

from airside.coordinator.api.settings import HttpSettings
from airside.coordinator.blocks.desk import BlockDesk
from airside.coordinator.deployments.desk import DeploymentDesk
from airside.coordinator.feed import Feed
from airside.coordinator.hooks.book import Hooks
from airside.coordinator.limits import Limits as SharedLimits
from airside.coordinator.limits.changing import LimitChanges
from airside.coordinator.logs import Logs
from airside.coordinator.metrics import Metrics
from airside.coordinator.runs import Desk
from airside.coordinator.tokens import Tokens
from airside.coordinator.work.desk import WorkDesk
from airside.events.exceptions import AirsideError
from airside.events.limits import Limits
from airside.events.log import Batch, Head
from airside.events.stored import Stored
from airside.events.wire import Micros, WireEvent
from airside.triggers.model import Automation

P = ParamSpec("P")
T = TypeVar("T")


class NotFound(AirsideError):
    """There is no automation of this name."""


class Accepted(Protocol):
    """What became of posted events: `first` and `last` are the positions of the new ones."""

    @property
    def accepted(self) -> int: ...
    @property
    def duplicates(self) -> int: ...
    @property
    def first(self) -> int | None: ...
    @property
    def last(self) -> int | None: ...


class Gateway(Protocol):
    """The way of events onto the log."""

    async def submit(self, events: Sequence[WireEvent]) -> Accepted:
        """Return once the events are on disk. Raises LogUnavailable, LogFull."""
        ...


class LogReader(Protocol):
    """The log, for reading."""

    def read(self, first: int, last: int) -> AsyncIterator[Batch]:
        """Give the entries from `first` to `last`, both included."""
        ...

    def read_stored(self, first: int, last: int) -> AsyncIterator[list[Stored]]:
        """Give the same entries as they stand on the log."""
        ...

    async def head(self) -> Head:
        """Tell where the log stands."""
        ...


class Automations(Protocol):
    """Writes automations to the log. Raises NotFound for a name that is none."""

    async def apply(self, automations: Sequence[Automation]) -> list[dict[str, Any]]: ...
    async def enable(self, name: str) -> None: ...
    async def disable(self, name: str) -> None: ...
    async def delete(self, name: str) -> None: ...


class QueryResult(Protocol):
    """Rows of one query, as many as were asked for at most."""

    @property
    def columns(self) -> list[dict[str, Any]]: ...
    @property
    def rows(self) -> list[list[Any]]: ...
    @property
    def truncated(self) -> bool: ...
    @property
    def position(self) -> int: ...


class Queries(Protocol):
    """People's own SQL, away from this process."""

    async def run(
        self, sql: str, parameters: Sequence[Any], *, workspace: str, limit_rows: int, timeout: float
    ) -> QueryResult: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """Where the plane stands at this moment. Positions are 0 where nothing was read yet."""

    version: str
    addresses: Mapping[str, str]
    log_first: int = 0
    log_last: int = 0
    log_bytes: int = 0
    log_created: str = ""
    views_position: int = 0
    engine_position: int = 0
    engine_now: Micros | None = None
    next_deadline: Micros | None = None
    counts: Mapping[str, int] = field(default_factory=dict)
    damage: str | None = None
    #: Why the engine's state cannot be saved at the moment, and what its running rules hold back, in all workspaces.
    engine_trouble: str | None = None
    held_back: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rebuild:
    """How far the views are built anew from the log."""

    running: bool
    position: int
    target: int
    started: str | None = None
    finished: str | None = None
    error: str | None = None


class Plane(Protocol):
    """The server behind the API. Everything is used from the event loop's thread."""

    @property
    def http(self) -> HttpSettings: ...
    @property
    def limits(self) -> Limits: ...
    @property
    def auth_required(self) -> bool: ...
    @property
    def gateway(self) -> Gateway: ...
    @property
    def log(self) -> LogReader: ...
    @property
    def reading_log(self) -> LogReader: ...
    @property
    def automations(self) -> Automations: ...
    @property
    def queries(self) -> Queries: ...
    @property
    def feed(self) -> Feed: ...
    @property
    def tokens(self) -> Tokens: ...
    @property
    def hooks(self) -> Hooks: ...
    @property
    def blocks(self) -> BlockDesk: ...
    @property
    def runs(self) -> Desk: ...
    @property
    def deployments(self) -> DeploymentDesk: ...
    @property
    def agent_work(self) -> WorkDesk: ...
    @property
    def shared_limits(self) -> SharedLimits: ...
    @property
    def limit_changes(self) -> LimitChanges: ...
    @property
    def logs(self) -> Logs: ...
    @property
    def metrics(self) -> Metrics: ...

    async def run_read(self, function: Callable[Concatenate[Any, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run one of `views.reads` in a thread, on a cursor of its own."""
        ...

    async def status(self) -> Status:
        """Tell where everything stands. Must answer when the log does not."""
        ...

    def not_ready(self) -> list[str]:
        """Give the reasons why the plane is not ready; none when it is."""
        ...

    async def unserved_queues(self, workspace: str) -> Sequence[Mapping[str, Any]]:
        """Give the queues in which runs wait that no living agent takes. Raises LogError."""
        ...

    def held_back(self, workspace: str) -> Mapping[str, Mapping[str, int]]:
        """Give `keys_refused`, `keys_dropped` and `loops_stopped` of the automations that have any, by name."""
        ...

    async def rebuild_views(self) -> Rebuild:
        """Begin to build the views anew, unless that is under way already."""
        ...

    def rebuild_progress(self) -> Rebuild | None:
        """Tell how far the last rebuild is; None when there was none."""
        ...
