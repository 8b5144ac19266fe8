"""`airside dbt …`: the real dbt as a child that keeps the terminal, the signals and the last word."""

import logging
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import Final, NoReturn

from airside.sdk.emitting import settings as emit_settings
from airside.sdk.emitting.emitter import Emitter
from airside.sdk.emitting.settings import BadSettings, EmitSettings
from airside.sdk.integrations.dbt import command as commands
from airside.sdk.integrations.dbt.live import Live

#: The terminal sends these to dbt itself; all others come to us alone.
_FROM_KEYBOARD: Final = frozenset({signal.SIGINT, signal.SIGQUIT})
_PASSED_ON: Final = (*_FROM_KEYBOARD, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)


def run(arguments: Sequence[str], environment: Mapping[str, str]) -> NoReturn:
    """Run dbt and end as it ended: with its exit code, or by the signal that killed it. Raises DbtMissing.

    Without a server to send to this process becomes dbt.
    """
    program = commands.program(environment)
    settings = _settings()
    if settings is None or not settings.url:
        os.execve(program[0], [*program, *arguments], commands.mark(environment))  # noqa: S606
    _end_as(_follow(program, arguments, environment, settings))


def _settings() -> EmitSettings | None:
    try:
        return emit_settings.load()
    except BadSettings as error:
        _say(f"no events are sent: {error}")
        return None


def _follow(
    program: Sequence[str], arguments: Sequence[str], environment: Mapping[str, str], settings: EmitSettings
) -> int:
    """Run dbt with its log read live; gives its exit code, negative for a signal."""
    command = commands.read(arguments, environment, commands.here())
    name = command.project.name or "dbt"
    logging.getLogger("airside.sdk").addHandler(logging.NullHandler())
    logging.getLogger("airside.sdk").propagate = False  # the terminal is dbt's; `_summary` says what there is to say
    folder = Path(tempfile.mkdtemp(prefix="airside-dbt-"))
    emitter = Emitter(replace(settings, durable=True, strict=False, source=f"dbt://{name}"))
    live = Live(folder, command, emitter)
    try:
        with _signals_to() as children:
            child = subprocess.Popen(  # noqa: S603 - the user's own command
                [*program, *command.arguments],
                env=commands.mark(commands.environment_of(environment, folder)),
            )
            children.append(child)
            live.start()
            code = child.wait()
            live.end(code)
            emitter.shipper.drain(settings.exit_seconds, give_up_when_away=True)
            stats = emitter.stats()  # closing forgets what waits
            emitter.close(0)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    _summary(live.sent, stats, settings, is_asked=environment.get("AIRSIDE_DBT_VERBOSE", "") not in ("", "0"))
    return code


@contextmanager
def _signals_to() -> "Iterator[list[subprocess.Popen[bytes]]]":
    """Hand signals to the child that is put into the list, instead of dying of them before it has ended."""
    children: list[subprocess.Popen[bytes]] = []

    def pass_on(number: int, _: FrameType | None) -> None:
        if number in _FROM_KEYBOARD and _is_in_foreground():
            return
        for child in children:
            child.send_signal(number)

    before = {number: signal.getsignal(number) for number in _PASSED_ON}
    for number, handler in before.items():
        if handler is not signal.SIG_IGN:  # as under nohup; the child ignores it too
            signal.signal(number, pass_on)
    try:
        yield children
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _is_in_foreground() -> bool:
    """Tell whether a terminal sends its signals to our process group, which is dbt's too."""
    try:
        terminal = os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY)
    except OSError:
        return False
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    except OSError:
        return False
    finally:
        os.close(terminal)


def _summary(sent: int, stats: Mapping[str, int], settings: EmitSettings, *, is_asked: bool) -> None:
    """Say in one line what became of the events, if there is something to say or it is asked for."""
    parts = []
    if stats["waiting"]:
        parts.append(f"{stats['waiting']:,} wait on disk for {settings.address} (airside spool status)")
    if stats["refused"]:
        parts.append(f"{stats['refused']:,} were refused (airside spool ls --refused)")
    if lost := stats["lost"] + stats["bad"]:
        parts.append(f"{lost:,} are lost: neither the server nor the disk took them")
    if parts or is_asked:
        _say(f"{sent:,} events of dbt: {', '.join(parts) or 'all are on the server'}")


def _say(text: str) -> None:
    sys.stderr.write(f"airside: {text}\n")
    sys.stderr.flush()


def _end_as(code: int) -> NoReturn:
    """End as dbt did, so that whoever started us sees the same."""
    if code < 0:
        sys.stdout.flush()
        sys.stderr.flush()
        resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
        if -code not in (signal.SIGKILL, signal.SIGSTOP):
            signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    sys.exit(code if code >= 0 else 128 - code)
