"""One coordinator: every part, started in order and stopped in order."""

import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from importlib.metadata import version
from typing import Any, Concatenate, Final, ParamSpec, TypeVar

from faststream.nats import NatsBroker
from nats.aio.client import Client

from airside.coordinator.actions import ActionRunner
from airside.coordinator.actions.kinds import PlaneTools
from airside.coordinator.api import HttpSettings, Rebuild, Status
from airside.coordinator.automations import AutomationStore
from airside.coordinator.blocks.desk import BlockDesk
from airside.coordinator.blocks.keys import KeySource
from airside.coordinator.blocks.store import BlockStore
from airside.coordinator.broker_watch import BrokerWatch
from airside.coordinator.deployments import BookReader, DeploymentStore
from airside.coordinator.deployments.again import Again
from airside.coordinator.deployments.desk import DeploymentDesk
from airside.coordinator.deployments.starting import Starter
from airside.coordinator.doors import NatsDoor
from airside.coordinator.engine import EngineRunner
from airside.coordinator.engine.queries import TIMEOUT_SECONDS, Answer, QueryAsker, Question, questions_of
from airside.coordinator.engine.snapshots import Snapshots
from airside.coordinator.feed import Feed
from airside.coordinator.gateway import Gateway
from airside.coordinator.home import Home
from airside.coordinator.hooks.store import HookStore
from airside.coordinator.limits import LimitStore
from airside.coordinator.limits.changing import LimitChanges
from airside.coordinator.live_views import LiveViews
from airside.coordinator.logs import LogStore
from airside.coordinator.metrics import Metrics
from airside.coordinator.nats_server import EmbeddedServer
from airside.coordinator.parts import Parts
from airside.coordinator.projector import Projector
from airside.coordinator.rebuilding import Rebuilder
from airside.coordinator.runs import Commands, Desk, LostTasks, Proposals, RunWatch
from airside.coordinator.scheduling import Scheduler
from airside.coordinator.settings import ServerSettings
from airside.coordinator.stopping import Stops
from airside.coordinator.token_store import TokenStore
from airside.coordinator.views import reads
from airside.coordinator.work.agents import Agents
from airside.coordinator.work.claims import Claims
from airside.coordinator.work.desk import WorkDesk
from airside.coordinator.work.leases import Leases
from airside.coordinator.work.places import Places
from airside.coordinator.work.stream import WorkStream
from airside.coordinator.work.sweeping import Sweeper
from airside.events.exceptions import LogError
from airside.events.limits import Limits
from airside.events.log import Head, Log, ReaderClient, connect
from airside.events.log.connection import INBOX_PREFIX, PromptClient
from airside.triggers.kinds.query import MAX_ROWS

P = ParamSpec("P")
T = TypeVar("T")

#: So long a start waits for views that lack little: a slow disk takes seconds.
_LEVEL_SECONDS: Final = 10.0
_HELD_BACK: Final = ("keys_refused", "keys_dropped", "loops_stopped")
_log = logging.getLogger("airside")


class Coordinator:
    """The server without its HTTP face; implements `airside.coordinator.api.Plane`.

    `start` and `stop` belong to one event loop in the main thread, whose end ends the embedded nats-server too.
    """

    def __init__(self, settings: ServerSettings) -> None:
        self.settings = settings
        self.home = Home(settings.home.expanduser().absolute())
        self.http = HttpSettings()
        self.limits = Limits()
        self.auth_required = not settings.loopback
        self.metrics = Metrics()
        self.feed = Feed(max_watchers=self.http.max_streams)
        self.parts = Parts()
        self.addresses: dict[str, str] = {}
        self._server: EmbeddedServer | None = None
        self._clients: list[Client] = []
        self._stops = Stops()

    def claim_home(self) -> None:
        """Make the home folder ours, until `stop`. Raises HomeInUse, saying who has it."""
        self.home.lock()
        self._stops.append(self.home.release)

    async def start(self) -> None:
        """Start everything, in a home that was claimed.

        Returns when events can be posted, while the log may still be read in. Raises ServerFailed, LogUnavailable,
        LogDamaged; whatever was started is stopped again.
        """
        try:
            await self._start()
        except BaseException:
            await self.stop()
            raise

    async def _start(self) -> None:
        url = await self._start_server()
        self.log = Log(await self._connect(url, "airside"))
        await self.log.ensure(replicas=self.settings.replicas, max_bytes=self.settings.max_log_bytes)
        self.broker_watch = BrokerWatch(self.log.head, self.home.path, self._server)
        await self._start_stores(url)
        self.queries = LiveViews(self.home.views, self.home.queries)
        await self.queries.open()
        self._stops.append(self.queries.close)
        self.projector = Projector(
            self.log,
            self.queries,
            self.feed,
            read_from=Log(await self._connect(url, "projector", ReaderClient)),
        )
        self._stops.append(self.projector.close)
        #: For exports, replays and rebuilds: whoever reads slowly must not hold up what is written.
        self.reading_log = Log(await self._connect(url, "reading", ReaderClient))
        self._rebuilder = Rebuilder(self.reading_log, self.queries, self._pause_projector, self._run_projector)
        self.gateway = Gateway(self.log, self.queries, self.settings.names)
        self.gateway.start()
        self._stops.append(self.gateway.stop)
        self.automations = AutomationStore(self.log, self.projector.settled)
        self.engine = EngineRunner(
            self.log,
            Snapshots(self.home.engine),
            read_from=Log(await self._connect(url, "engine", ReaderClient)),
            fired=self._count_firing,
            refused=self.metrics.firings_cut.inc,
        )
        proposals = Proposals(self.log, self.settings.names)
        lost = LostTasks(self.log, lambda: self.run_read(reads.lost_tasks))
        watch = RunWatch(self.log, self.feed, proposals, self._beating, lambda: bool(self.not_ready()), lost_tasks=lost)
        self.runs = Desk(self.log, proposals, Commands(self.log, proposals), watch)
        await self._prepare_deployments(proposals)
        watch.on_waiting = self.scheduler.look_soon
        await self._start_actions(url)
        soon = self.gateway.coverage.lacks_little(await self.log.head())
        await self._run_projector()
        self._stops.append(lambda: self.parts.stop("projector"))
        self._stops.append(self._rebuilder.stop)
        self._run_part("engine", self.engine.run, lambda: self.engine.position, self._stop_engine)
        self._run_part("queries", QueryAsker(self.log, self._questions, self._ask).run)
        self._run_part("runs", watch.run, lambda: watch.seen)
        self._run_part("deployments", self._deployments_read.run)  # it seldom has anything to read
        sweeper = self.agent_work.sweeper
        self._run_part("work", sweeper.run, lambda: sweeper.looks)
        self._run_part("scheduler", self._schedule, lambda: self.scheduler.looks)
        self._run_part("broker", self.broker_watch.run, lambda: self.broker_watch.looks)
        if soon:  # before, a post with ids of its own would be told to come again
            await self.gateway.coverage.level(_LEVEL_SECONDS, lambda: self.parts.damage is not None)

    async def stop(self) -> None:
        """Stop everything in the opposite order. Each step is tried whatever the others do."""
        self.feed.close()
        await self._stops.run()

    def not_ready(self) -> list[str]:
        """Give the reasons why the coordinator is not ready; none when it is."""
        reasons = []
        if self.parts.damage:
            reasons.append(self.parts.damage)
        reasons += self.broker_watch.problems()
        reasons += [f"{name} failed: {reason}" for name, reason in self.parts.failing.items()]
        if self.engine.write_trouble:
            reasons.append(self.engine.write_trouble)
        if not self.projector.caught_up.is_set():
            reasons.append(f"the views are being read in (position {self.projector.views.position:,})")
        if lacking := self.gateway.coverage.look():
            reasons.append(lacking)
        if not self.engine.caught_up.is_set():
            reasons.append(f"the trigger engine is reading the log (position {self.engine.position:,})")
        return reasons

    async def status(self) -> Status:
        """Tell where everything stands; answers when the log does not."""
        try:
            head = await self.log.head()
        except LogError:
            head = Head("", 0, 0)
        return Status(
            version=version("airside"),
            addresses=self.addresses,
            log_first=head.first,
            log_last=head.last,
            log_bytes=head.bytes,
            log_created=head.created,
            views_position=self.projector.views.position,
            engine_position=self.engine.position,
            engine_now=self.engine.now or None,
            next_deadline=self.engine.next_deadline,
            counts={"automations": len(self.engine.engine.automations)},
            damage=self.parts.damage,
            engine_trouble=self.engine.save_trouble,
            held_back={what: sum(getattr(self.engine.engine, what).values()) for what in _HELD_BACK},
        )

    async def unserved_queues(self, workspace: str) -> Sequence[Mapping[str, Any]]:
        """Give the queues in which runs wait that no living agent takes. Raises LogError."""
        return await self.agent_work.unserved(workspace)

    def held_back(self, workspace: str) -> Mapping[str, Mapping[str, int]]:
        """Give `keys_refused`, `keys_dropped` and `loops_stopped` of the automations that have any, by name."""
        found: dict[str, dict[str, int]] = {}
        for what in _HELD_BACK:
            for (owner, name), count in getattr(self.engine.engine, what).items():
                if owner == workspace:
                    found.setdefault(name, {})[what] = count
        return found

    async def run_read(self, function: Callable[Concatenate[Any, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run one of `views.reads` in a thread, on a cursor of its own."""
        return await self.queries.read(function, *args, **kwargs)

    async def rebuild_views(self) -> Rebuild:
        """Begin to build the views anew, unless that is under way already."""
        return await self._rebuilder.start()

    def rebuild_progress(self) -> Rebuild | None:
        """Tell how far the last rebuild is; None when there was none."""
        return self._rebuilder.progress

    async def _start_stores(self, url: str) -> None:
        """Open what is kept beside the log: tokens, hooks, blocks, limits, log lines."""
        self.tokens = TokenStore(self.log.nc, replicas=self.settings.replicas)
        await self.tokens.start()
        self._stops.append(self.tokens.stop)
        self.hooks = HookStore(self.log.nc, replicas=self.settings.replicas)
        await self.hooks.start()
        self._stops.append(self.hooks.stop)
        blocks = BlockStore(self.log.nc, self._block_keys(), replicas=self.settings.replicas)
        await blocks.start()
        self.blocks = BlockDesk(self.log, blocks)
        self.shared_limits = LimitStore(self.log.nc, replicas=self.settings.replicas)
        await self.shared_limits.start()
        self._stops.append(self.shared_limits.stop)
        self.limit_changes = LimitChanges(self.log, self.shared_limits)
        self.logs = LogStore(await self._connect(url, "logs"), replicas=self.settings.replicas)
        await self.logs.start()
        self._stops.append(self.logs.stop)

    def _block_keys(self) -> KeySource:
        given = self.settings.blocks_key
        return KeySource(
            self.home.blocks_key, given.get_secret_value() if given is not None else "", self.settings.blocks_key_file
        )

    def _run_part(
        self,
        name: str,
        run: Callable[[], Awaitable[None]],
        progress: Callable[[], int] | None = None,
        stop: Callable[[], Any] | None = None,
    ) -> None:
        """Run a part until the coordinator stops."""
        self.parts.run(name, run, progress=progress)
        self._stops.append(stop or (lambda: self.parts.stop(name)))

    async def _run_projector(self) -> None:
        position = lambda: self.projector.views.position  # noqa: E731
        self.parts.run("projector", self.projector.run, mend=self._reopen_views, progress=position)

    async def _pause_projector(self) -> None:
        await self.parts.stop("projector")
        await self.projector.pause()

    async def _reopen_views(self) -> None:
        """Open the views again; a file that is really damaged is set aside and made anew from the log."""

        async def nothing() -> None:
            return

        await self.queries.replace(nothing)

    async def _start_server(self) -> str:
        if self.settings.nats_url is not None:
            return self.settings.nats_url.get_secret_value()
        self._server = EmbeddedServer(self.home.nats, self.settings.nats_port)
        self._stops.append(self._server.stop)
        await self._server.start_again()
        self.addresses["nats"] = f"nats://{self._server.address}"
        return self._server.url

    async def _prepare_deployments(self, proposals: Proposals) -> None:
        """Make what schedules runs and hands them out."""
        work = WorkStream(self.log.nc, replicas=self.settings.replicas, lease_seconds=self.settings.lease_seconds)
        await work.ensure()
        self._deployments_read = BookReader(self.log, self._deployments_changed)
        store = DeploymentStore(self.log, self._deployments_read.settled)
        book = self._deployments_read.book
        starter = Starter(store, proposals, work)
        again = Again(self.log, starter)
        self.deployments = DeploymentDesk(book, store, starter, work, again=again)
        self.scheduler = Scheduler(self.log, book, proposals, work, self._waiting_runs)
        replicas = self.settings.replicas
        leases, places = Leases(self.log.nc, replicas=replicas), Places(self.log.nc, replicas=replicas)
        agents = Agents(self.log, replicas=replicas)
        for part in (leases, places, agents):
            await part.start()
            self._stops.append(part.stop)
        claims = Claims(
            self.log,
            book,
            store,
            proposals,
            work=work,
            leases=leases,
            places=places,
            can_start=agents.can_start,
            gone_since=agents.gone_since,
        )
        sweeper = Sweeper(self.log, store, proposals, starter, work, claims=claims, leases=leases, agents=agents)
        self.agent_work = WorkDesk(book, agents, claims, leases, sweeper)

    async def _deployments_changed(self) -> None:
        for queue in self.deployments.book.queues.values():
            await self.deployments.work.keep(queue)
        await self.scheduler.wake()

    async def _schedule(self) -> None:
        await self._deployments_read.caught_up.wait()
        await self.scheduler.run()

    async def _waiting_runs(self) -> Iterable[tuple[str, str, int]]:
        """List the runs that wait, once the views are where the log ends."""
        await self.projector.caught_up.wait()
        return await self.run_read(reads.waiting_runs)

    async def _start_actions(self, url: str) -> None:
        self.broker = NatsBroker(
            url.split(","),
            logger=None,
            name="airside-actions",
            max_reconnect_attempts=-1,
            inbox_prefix=INBOX_PREFIX,
        )
        self.actions = ActionRunner(
            self.broker,
            self.log,
            on_outcome=self._count_action,
            plane=PlaneTools(
                starter=self.deployments.starter,
                store=self.deployments.store,
                commands=self.runs.commands,
                again=self.deployments.again,
                limits=self.limit_changes,
                automations=self.automations,
            ),
            blocks=self.blocks.store,
        )
        await self.actions.start()
        self._stops.append(self.broker.stop)
        self._stops.append(self.actions.stop)
        door = NatsDoor(self.broker, self)
        await door.start()
        self._stops.append(door.stop)

    async def _connect(self, url: str, name: str, client: type[Client] = PromptClient) -> Client:
        connection = await connect(url, name=f"airside-{name}", client=client)
        self._stops.append(connection.close)
        return connection

    async def _stop_engine(self) -> None:
        await self.parts.stop("engine")
        if self.parts.damage is None:
            await self.engine.save()

    async def _beating(self) -> Iterable[tuple[str, str, int, Mapping[str, Any]]]:
        """List the running flows that are to be heard of, once the views are where the log ends."""
        await self.projector.caught_up.wait()
        return await self.run_read(reads.beating_runs)

    def _questions(self) -> list[Question]:
        """List the queries of the automations that are enabled, once this coordinator is where the log ends."""
        if self.not_ready():
            return []
        return [
            (workspace, question)
            for (workspace, _), installed in self.engine.engine.automations.items()
            if installed.enabled
            for question in questions_of(installed.automation.trigger)
        ]

    async def _ask(self, workspace: str, sql: str) -> Answer:
        return await self.queries.run(sql, workspace=workspace, limit_rows=MAX_ROWS + 1, timeout=TIMEOUT_SECONDS)

    def _count_firing(self, outcome: str) -> None:
        self.metrics.firings.labels(outcome=outcome).inc()

    def _count_action(self, kind: str, outcome: str) -> None:
        self.metrics.actions.labels(kind=kind, outcome=outcome).inc()
