"""`airside watch URL`: follow something outside, and put what happens there on the log."""

import asyncio
import os
import re
import signal
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from airside.sdk.cli import output, tree
from airside.sdk.cli.failures import FAILED, Failure
from airside.sdk.cli.options import AsJson

if TYPE_CHECKING:
    from airside.agent.watching.loop import Loop, Watched
    from airside.agent.watching.watcher import Watcher
    from airside.sdk.emitting.emitter import Emitter

_UNITS: Final = {"ms": 0.001, "": 1.0, "s": 1.0, "m": 60.0, "h": 3_600.0}
_EXIT_SECONDS: Final = 5.0
PASSWORD: Final = "AIRSIDE_WATCH_PASSWORD"  # noqa: S105 - the name of a variable
TOKEN: Final = "AIRSIDE_WATCH_TOKEN"  # noqa: S105


def watch(
    url: Annotated[str, typer.Argument(metavar="URL", help="What to watch, as airflow://host:8080/?instance=prod.")],
    *,
    user: Annotated[
        str | None, typer.Option("--user", help=f"User there; the password is read from {PASSWORD}.")
    ] = None,
    every: Annotated[str, typer.Option("--every", metavar="TIME", help="How often to ask, as 10s or 5m.")] = "10s",
    once: Annotated[bool, typer.Option("--once", help="Take what there is by now, and end.")] = False,
    as_json: AsJson = False,
) -> None:
    """Follow something outside, and put what happens there on the log, until Ctrl-C.

    Where it got to is kept in AIRSIDE_HOME: it goes on there the next time. What it sees twice counts once.
    """
    seconds = _seconds(every)
    emitter, watcher, loop = _open(url, user, as_json=as_json)
    if not once:
        output.note(f"watching {watcher.name} every {every}; Ctrl-C ends")
    try:
        asyncio.run(_run(loop, watcher, None if once else seconds))
    finally:
        emitter.flush(_EXIT_SECONDS)
        stats = emitter.stats()
        emitter.close(0.0)
    _end(loop.watched.events, stats)


watch.epilog = tree.examples(  # type: ignore[attr-defined]
    "airside watch 'airflow://127.0.0.1:8080/?instance=prod' --user admin",
    "airside watch 'airflows://airflow.example/?instance=prod' --once --json",
)


def _open(url: str, user: str | None, *, as_json: bool) -> "tuple[Emitter, Watcher, Loop]":
    from dataclasses import replace

    from airside.agent.watching import cursors, loop, schemes
    from airside.agent.watching.watcher import WatchOptions
    from airside.sdk import settings as client_settings
    from airside.sdk.emitting import emitter
    from airside.sdk.emitting import settings as emit_settings

    options = WatchOptions(user, os.environ.get(PASSWORD) or None, os.environ.get(TOKEN) or None)
    watcher = schemes.open_watcher(url, options)
    try:
        loaded = emit_settings.load()
    except emit_settings.BadSettings as error:
        raise Failure(str(error)) from error
    sending = replace(loaded, url=loaded.url or client_settings.DEFAULT_URL)
    file = cursors.CursorFile(client_settings.load().home, watcher.name, sending.target)
    sender = emitter.Emitter(sending)
    running = loop.Loop(
        watcher,
        file,
        sender,
        on_event=_show_json if as_json else _show,
        on_trouble=_Trouble(watcher.name),
        on_poll=_Progress() if _is_terminal() else lambda watched: None,
    )
    return sender, watcher, running


async def _run(loop: "Loop", watcher: "Watcher", every_seconds: float | None) -> None:
    """Poll until it is done, or until SIGINT or SIGTERM: both end it in order."""
    task = asyncio.ensure_future(loop.once() if every_seconds is None else loop.forever(every_seconds))
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    try:
        await task
    except asyncio.CancelledError:
        pass
    finally:
        await watcher.close()


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


def _seconds(text: str) -> float:
    found = re.fullmatch(r"(\d{1,6}(?:\.\d{1,3})?)\s*(ms|s|m|h)?", text.strip())
    seconds = float(found[1]) * _UNITS[found[2] or ""] if found else 0.0
    if seconds < 0.1:
        raise Failure(f"--every: `{text}` must be a time of at least 100ms, as 10s or 5m")
    return seconds


def _show(event: Mapping[str, Any]) -> None:
    output.line("\t".join(output.plain(part) for part in (event["time"], event["type"], event["resource"]["id"])))


def _show_json(event: Mapping[str, Any]) -> None:
    output.as_json_line(dict(event))


def _is_terminal() -> bool:
    import sys

    return sys.stderr.isatty()


class _Trouble:
    """Says what is wrong once, and when it is over."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._last = ""

    def __call__(self, reason: str) -> None:
        if reason != self._last:
            output.note(f"{reason}; trying again" if reason else f"{self._name} answers again")
        self._last = reason


class _Progress:
    """Rewrites one line of the terminal after each poll."""

    def __call__(self, watched: "Watched") -> None:
        import sys

        events, polls = output.count(watched.events, "event"), output.count(watched.polls, "poll")
        sys.stderr.write(f"\r\x1b[K{events} in {polls}\r")
        sys.stderr.flush()
