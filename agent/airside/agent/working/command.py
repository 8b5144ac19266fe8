"""`airside agent start`: carry out the runs of queues on this machine."""

import asyncio
import os
import platform
import shutil
import signal
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from airside.sdk.cli import options, output, tree
from airside.sdk.cli.failures import FAILED, Failure

if TYPE_CHECKING:
    from airside.agent.working.watchers import Watchers
    from airside.agent.working.worker import Plan, Worker
    from airside.sdk.settings import ClientSettings

_MAX_LIMIT: Final = 100


def start(
    queues: Annotated[
        list[str] | None,
        typer.Option("--queue", "-q", help="Take its runs. Repeat it for several. None: with --watch, only watch."),
    ] = None,
    *,
    limit: Annotated[
        int, typer.Option("--limit", "-n", min=1, max=_MAX_LIMIT, help="At most so many runs at once.")
    ] = 4,
    labels: Annotated[
        list[str] | None, typer.Option("--label", help="KEY=VALUE, shown with the agent. Repeat it.")
    ] = None,
    name: Annotated[str, typer.Option("--name", help="What to call the agent. Default: this machine's name.")] = "",
    kinds: Annotated[
        list[str] | None,
        typer.Option("--infra", help="Start runs in this alone: process, docker or kubernetes. Repeat it for several."),
    ] = None,
    watch: Annotated[
        Path | None,
        typer.Option("--watch", metavar="FILE", help="Run the [[watch]] tables of this file too, as airside.toml."),
    ] = None,
    once: Annotated[bool, typer.Option("--once", help="Carry out one run, and end.")] = False,
    drain: Annotated[bool, typer.Option("--drain", help="Carry out what waits, and end.")] = False,
) -> None:
    """Carry out the runs of queues on this machine, until Ctrl-C, and watch what is outside beside it.

    Needs AIRSIDE_URL, and AIRSIDE_TOKEN with the role `agent`. Opens no port. The first Ctrl-C waits for what runs, a
    second one ends it.
    """
    from airside.sdk import settings

    if once and drain:
        raise Failure("give --once or --drain, not both")
    taken = tuple(dict.fromkeys(queues or ()))
    if not taken:
        _check_that_it_watches(watch, {"--infra": kinds, "--once": once, "--drain": drain})
    loaded = settings.load()
    chosen = chosen_kinds(kinds)
    about = {
        "name": name or platform.node(),
        "labels": dict(options.pairs("--label", labels, "KEY=VALUE")),
        **({"limit": limit} if taken else {}),
    }
    plan = plan_of(loaded, taken, about, kinds=chosen, once=once, drain=drain)
    watchers = _watchers(watch, loaded) if watch is not None else None
    if watchers is not None:
        plan = replace(plan, watching=watchers.shown)
    worker = asyncio.run(work(plan, loaded, output.note, watchers, handle_signals=True))
    counts = worker.counts
    if not taken:
        return
    output.note(
        f"{output.count(sum(counts.values()), 'run')}: " + ", ".join(f"{n} {word}" for word, n in counts.items())
    )
    if once and not counts["done"]:
        raise Failure("the run did not end well" if sum(counts.values()) else "no run was carried out", code=FAILED)


start.epilog = tree.examples(  # type: ignore[attr-defined]
    "airside agent start -q default",
    "airside agent start -q warehouse -q default --limit 8 --label team=finance",
    "airside agent start -q default --drain",
    "airside agent start -q default --watch watchers.toml",
    "airside agent start --watch watchers.toml        # takes no runs",
)


def _check_that_it_watches(watch: Path | None, of_runs: Mapping[str, object]) -> None:
    """Refuse an agent without a queue that has nothing to watch, or is told how to take runs."""
    if watch is None:
        raise Failure(
            "the agent would have nothing to do: name a queue, a file of watchers, or both",
            hint="`airside agent start -q default`, or `airside agent start --watch watchers.toml`",
        )
    if unfit := [option for option, given in of_runs.items() if given]:
        raise Failure(f"{unfit[0]} is about runs, and without a queue it takes none", hint="name a queue with -q")


def plan_of(
    loaded: "ClientSettings",
    queues: tuple[str, ...],
    about: Mapping[str, Any],
    *,
    kinds: tuple[str, ...] = (),
    once: bool = False,
    drain: bool = False,
) -> "Plan":
    """Make the plan of an agent on this machine; without a queue it takes no runs, and can start none."""
    from importlib.metadata import version

    from airside.agent.working import storage
    from airside.agent.working.worker import Plan

    token = loaded.token.get_secret_value() if loaded.token is not None else None
    variables = {"AIRSIDE_URL": loaded.url, "AIRSIDE_HOME": str(loaded.home)}
    variables |= {"AIRSIDE_TOKEN": token} if token else {}
    described = {
        "version": version("airside"),
        "capabilities": {"storage": list(storage.KINDS)} if queues else {},
        "queues": list(queues),
        "host": platform.node(),
        **about,
    }
    return Plan(
        about=described,
        queues=queues,
        limit=int(about.get("limit", 0)),
        runs=_folder_of_runs(loaded.home),
        once=once,
        drain=drain,
        variables=variables,
        secret=token,
        kinds=(lambda: _kinds(kinds)) if queues else _no_kinds,
        deliver=lambda: _deliver({**os.environ, **variables}),
    )


def chosen_kinds(given: list[str] | None) -> tuple[str, ...]:
    """Read the kinds that an agent is to take; none: all of them."""
    from airside.events import infrastructure

    for kind in given or ():
        if kind not in infrastructure.KINDS:
            raise Failure(f"--infra: `{kind[:80]}` must be one of {', '.join(infrastructure.KINDS)}")
    return tuple(dict.fromkeys(given or ()))


async def _kinds(asked: tuple[str, ...]) -> list[str]:
    """Give the kinds that work on this machine now."""
    from airside.agent.working.infrastructure import KINDS, working

    return [kind for kind, trouble in (await working(asked or tuple(KINDS))).items() if not trouble]


async def _no_kinds() -> list[str]:
    return []


def _watchers(file: Path, loaded: "ClientSettings") -> "Watchers":
    """Open the watchers of a file."""
    from airside.agent.watching.watcher import WatchRefused
    from airside.agent.working.watchers import Watchers
    from airside.sdk.emitting.settings import BadSettings

    try:
        return Watchers.open(file, loaded, lambda text: output.note(output.plain(text)))
    except (WatchRefused, BadSettings) as error:
        raise Failure(str(error), hint="docs/watching.md shows such a file") from error


async def work(
    plan: "Plan",
    loaded: "ClientSettings",
    say: Callable[[str], object],
    watchers: "Watchers | None" = None,
    *,
    handle_signals: bool = False,
) -> "Worker":
    """Run one agent to its end, in order, with watchers beside it; gives it with its counts."""
    from airside.agent.working import infrastructure
    from airside.agent.working.plane import Plane
    from airside.agent.working.worker import Worker
    from airside.sdk.flows.log_outbox import LogOutbox

    plane, outbox = Plane(loaded.url, plan.secret), LogOutbox(loaded.url, plan.secret)
    worker = Worker(plan, plane, outbox, lambda text: say(output.plain(text)))
    if handle_signals:
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, worker.stop)
    watching = asyncio.ensure_future(watchers.run()) if watchers is not None else None
    try:
        await worker.run()
    finally:
        if watching is not None and watchers is not None:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)
            await watchers.close()
        await asyncio.to_thread(outbox.flush)
        await plane.close()
        await infrastructure.close()
        shutil.rmtree(plan.runs, ignore_errors=True)
    return worker


def _deliver(environment: Mapping[str, str]) -> str:
    """Send events that runs left in the spool; give why the server did not take them, or ''."""
    from airside.sdk.emitting import flushing
    from airside.sdk.emitting import settings as emit_settings

    loaded = emit_settings.load(environment)
    return flushing.flush(loaded).away if (loaded.spool / loaded.target).is_dir() else ""


def _folder_of_runs(home: Path) -> Path:
    """Give this process a folder for its runs, and remove those of processes that are gone."""
    above = home / "agent" / "runs"
    try:
        above.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise Failure(
            f"the agent needs a folder of its own, and {above} cannot be made: {error.strerror}",
            hint="set AIRSIDE_HOME to a folder that this user may write",
        ) from error
    for left in above.iterdir():
        if left.name.isdigit() and not _lives(int(left.name)):
            shutil.rmtree(left, ignore_errors=True)
    own = above / str(os.getpid())
    own.mkdir(exist_ok=True, mode=0o700)
    return own


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
