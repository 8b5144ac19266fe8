"""`airside watch URL`: follow something outside, and put what happens there on the log."""

import asyncio
import signal
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from airside.agent.watching.plans import PASSWORD, TOKEN
from airside.sdk.cli import output, tree
from airside.sdk.cli.failures import FAILED, Failure
from airside.sdk.cli.options import AsJson

if TYPE_CHECKING:
    from airside.agent.watching.loop import Watched
    from airside.agent.watching.plans import Plan
    from airside.agent.watching.several import Supervised
    from airside.sdk.emitting.emitter import Emitter

_EXIT_SECONDS: Final = 5.0


def watch(
    url: Annotated[
        str | None, typer.Argument(metavar="URL", help="What to watch: see the examples and docs/watching.md.")
    ] = None,
    *,
    user: Annotated[
        str | None,
        typer.Option("--user", help=f"User there; the password is read from {PASSWORD}, a token from {TOKEN}."),
    ] = None,
    every: Annotated[
        str | None, typer.Option("--every", metavar="TIME", help="How often to ask, as 10s (most) or 5m (sql).")
    ] = None,
    name: Annotated[
        str | None, typer.Option("--name", help="What to call it in its heartbeats: watcher://NAME.")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Run the [[watch]] tables of airside.toml.")] = False,
    once: Annotated[bool, typer.Option("--once", help="Take what there is by now, and end.")] = False,
    as_json: AsJson = False,
) -> None:
    """Follow something outside, and put what happens there on the log, until Ctrl-C.

    Where it got to is kept in AIRSIDE_HOME: it goes on there the next time. What it sees twice counts once.
    """
    plans = _plans(url, every, user, name, everything=everything)
    emitter, watchers = _open(plans, as_json=as_json)
    if not once:
        for watcher in watchers:
            output.note(f"watching {output.plain(watcher.name)} as watcher://{watcher.label}")
        output.note("Ctrl-C ends")
    try:
        asyncio.run(_run(watchers, once=once))
    finally:
        _flush(emitter, patient=once)
        stats = emitter.stats()
        emitter.close(0.0)
    _end(sum(watcher.events for watcher in watchers), stats)


watch.epilog = tree.examples(  # type: ignore[attr-defined]
    "airside watch 'airflow://127.0.0.1:8080/?instance=prod' --user admin",
    "airside watch 'airflows://airflow.example/?instance=prod' --once --json",
    "airside watch 'file:///data/in/*.csv'",
    "airside watch 's3://lake/raw/**/*.parquet#newer=7d'",
    "airside watch 'sql+env://WAREHOUSE_URL?table=mart.orders&max=updated_at' --every 5m",
    "airside watch 'https://shop.example/health#expect=$.status==ok' --every 30s",
    "airside watch 'k8s://prod/data?type=Warning'",
    "airside watch --all",
)


def _plans(url: str | None, every: str | None, user: str | None, name: str | None, *, everything: bool) -> "list[Plan]":
    from airside.agent.watching import plans
    from airside.sdk.project import find_file

    if everything == (url is not None):
        raise Failure("name one URL, or --all for those of airside.toml", hint="`airside watch --help` shows some")
    if url is not None:
        return [plans.of_command(url, every, user, name)]
    if every or user or name:
        raise Failure("--every, --user and --name are for one URL; with --all they stand in airside.toml")
    return plans.of_file(find_file())


def _open(plans: "list[Plan]", *, as_json: bool) -> "tuple[Emitter, list[Supervised]]":
    from dataclasses import replace

    from airside.agent.watching import several
    from airside.sdk import settings as client_settings
    from airside.sdk.emitting import emitter
    from airside.sdk.emitting import settings as emit_settings

    try:
        loaded = emit_settings.load()
    except emit_settings.BadSettings as error:
        raise Failure(str(error)) from error
    sender = emitter.Emitter(replace(loaded, url=loaded.url or client_settings.DEFAULT_URL))
    hooks = several.Hooks(
        on_event=_show_json if as_json else _show,
        on_trouble=_Trouble(),
        on_poll=_Progress() if _is_terminal() and len(plans) == 1 else lambda watched: None,
    )
    return sender, several.supervise(plans, client_settings.load().home, sender, hooks)


async def _run(watchers: "list[Supervised]", *, once: bool) -> None:
    """Watch until it is done, or until SIGINT or SIGTERM: both end it in order."""
    from airside.agent.watching import several

    task = asyncio.ensure_future(several.run(watchers, once=once))
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    try:
        await task
    except asyncio.CancelledError:
        pass


def _flush(emitter: "Emitter", *, patient: bool) -> None:
    """Wait for the last events; `patient`: as long as the server takes some."""
    waiting = emitter.stats()["waiting"]
    while not emitter.flush(_EXIT_SECONDS) and patient:
        before, waiting = waiting, emitter.stats()["waiting"]
        if waiting >= before:
            return


def _end(events: int, stats: Mapping[str, int]) -> None:
    known, waiting = stats["duplicates"], stats["waiting"]
    sent = max(events - known - waiting - stats["refused"], 0)
    said = f"{output.count(events, 'event')}: {sent:,} new, {known:,} known before"
    if stats["refused"]:
        said += f", {stats['refused']:,} refused (`airside spool ls --refused`)"
    if not waiting:
        output.note(said)
        return
    raise Failure(
        f"{said}, {waiting:,} wait on disk: the server did not take them",
        hint="they are sent by the next `airside watch`, or by `airside spool flush`",
        code=FAILED,
    )


def _show(event: Mapping[str, Any]) -> None:
    output.line("\t".join(output.plain(part) for part in (event["time"], event["type"], event["resource"]["id"])))


def _show_json(event: Mapping[str, Any]) -> None:
    output.as_json_line(dict(event))


def _is_terminal() -> bool:
    import sys

    return sys.stderr.isatty()


class _Trouble:
    """Says what is wrong once for each watcher, and when it is over."""

    def __init__(self) -> None:
        self._last: dict[str, str] = {}

    def __call__(self, name: str, reason: str) -> None:
        if reason != self._last.get(name, ""):
            output.note(output.plain(f"{reason}; trying again" if reason else f"{name} answers again"))
        self._last[name] = reason


class _Progress:
    """Rewrites one line of the terminal after each poll."""

    def __call__(self, watched: "Watched") -> None:
        import sys

        events, polls = output.count(watched.events, "event"), output.count(watched.polls, "poll")
        sys.stderr.write(f"\r\x1b[K{events} in {polls}\r")
        sys.stderr.flush()
