"""One container, from its start to its end."""

import asyncio
import calendar
import contextlib
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from airside.agent.working.exceptions import CannotPrepare, NotHere
from airside.agent.working.infrastructure.docker import engine as engines
from airside.agent.working.infrastructure.docker import wishes
from airside.agent.working.infrastructure.docker.engine import Engine, EngineAway, EngineRefuses
from airside.agent.working.infrastructure.job import Ended, Found, Job, show
from airside.events import infrastructure

_AGAIN_SECONDS: Final = 1.0
_GONE: Final = 404
_CONFLICT: Final = 409
_TRIES: Final = 3
_MAX_LINE_BYTES: Final = 64 * 1024
_MAX_TEXT: Final = 300
Say = Callable[[str, str], object]


class Container:
    """A container that was started, by this agent or by one that is gone."""

    def __init__(self, engine: Engine, container: str, say: Say, *, keep: bool, since: str = "") -> None:
        self._engine = engine
        self._id = container
        self._say = say
        self._keep = keep
        self._since = since

    async def ended(self) -> Ended:
        """Wait for its end, telling what it prints, and remove it unless it is to stay."""
        loop = asyncio.get_running_loop()

        def say(name: str, line: str) -> None:
            loop.call_soon_threadsafe(self._say, name, line)

        await asyncio.gather(
            *(self._engine.beside(lambda name=name: self._follow(name, say)) for name in ("stdout", "stderr"))  # type: ignore[misc]
        )
        found = await self._patiently("inspect_container")
        if found is None:
            return Ended(None, "somebody removed it while it ran")
        if not self._keep:
            await self._patiently("remove_container", v=True, force=True)
        return _read(found)

    async def stop(self) -> None:
        """Send SIGTERM to its first process."""
        await self._signal("SIGTERM")

    async def kill(self) -> None:
        """Send SIGKILL to it."""
        await self._signal("SIGKILL")

    async def _signal(self, name: str) -> None:
        try:
            await self._engine.ask(self._engine.client.kill, self._id, name)
        except EngineRefuses as error:
            if error.status not in (_GONE, _CONFLICT):  # it has ended
                self._say("agent", str(error))
        except EngineAway as error:
            self._say("agent", str(error))

    async def _patiently(self, method: str, **more: Any) -> Any:
        """Ask until the engine answers; None when it refuses, as for what is gone."""
        told = False
        while True:
            try:
                return await self._engine.ask(getattr(self._engine.client, method), self._id, **more)
            except EngineAway as error:
                if not told:
                    self._say("agent", str(error))
                told = True
                await asyncio.sleep(_AGAIN_SECONDS)
            except EngineRefuses as error:
                if error.status != _GONE:
                    self._say("agent", str(error))
                return None

    def _follow(self, name: str, say: Callable[[str, str], object]) -> None:
        """Tell one of its streams to its end; goes on where a connection broke. Blocks."""
        last = self._since

        def follow() -> bool:
            nonlocal last
            for stamp, text in self._lines(name, last):
                if stamp > last:
                    say(name, text)
                    last = stamp
            state = self._engine.client.inspect_container(self._id)["State"]
            return not state.get("Running") and not state.get("Restarting")

        while True:
            try:
                if engines.told(follow):
                    return
            except EngineRefuses as error:
                if error.status == _GONE:
                    return
            except EngineAway:
                pass
            time.sleep(_AGAIN_SECONDS)

    def _lines(self, name: str, last: str) -> Iterator[tuple[str, str]]:
        chosen = {"stdout": name == "stdout", "stderr": name == "stderr"}
        since = _seconds(last)
        chunks = self._engine.client.logs(
            self._id, stream=True, follow=True, timestamps=True, **chosen, **({"since": since} if since else {})
        )
        rest = b""
        for chunk in chunks:
            *lines, rest = (rest + chunk).split(b"\n")
            yield from (_stamped(line) for line in lines)
            if len(rest) > _MAX_LINE_BYTES:
                yield _stamped(rest)
                rest = b""
        if rest:
            yield _stamped(rest)


async def start(job: Job, settings: infrastructure.Docker) -> Container:
    """Start the run's container, once: one that this claim has made is found again. Raises CannotPrepare."""
    engine = await engines.connect()
    await _bring(engine, job, settings)
    made = await _created(engine, job, settings)
    container = Container(engine, made, job.say, keep=not settings.auto_remove)
    try:
        await engine.ask(engine.client.start, made)
    except asyncio.CancelledError:
        await asyncio.shield(_remove(engine, made))
        raise
    except CannotPrepare:
        await _remove(engine, made)
        raise
    return container


async def find(plane: Mapping[str, str]) -> list[Found]:
    """Give the containers of this server's runs that are here, whoever started them."""
    engine = await engines.connect()
    wanted = {"label": f"{wishes.PREFIX}plane={wishes.plane_of(plane)}"}
    found = []
    for entry in await engine.ask(engine.client.containers, all=True, filters=wanted):
        labels = {key.removeprefix(wishes.PREFIX): text for key, text in (entry.get("Labels") or {}).items()}
        if "claim" not in labels:
            continue
        found.append(_found(engine, entry, labels))
    return found


def _found(engine: Engine, entry: Mapping[str, Any], labels: Mapping[str, str]) -> Found:
    keep = bool(labels.get("keep"))

    def taken(say: Say, since: str) -> Container:
        return Container(engine, entry["Id"], say, keep=keep, since=since)

    async def removed() -> None:
        if keep and entry.get("State") == "exited":
            return
        await _remove(engine, entry["Id"])

    return Found.of("docker", labels, taken, removed)


async def _bring(engine: Engine, job: Job, settings: infrastructure.Docker) -> None:
    """Have the image there as the settings say."""
    try:
        await engine.ask(engine.client.inspect_image, settings.image)
        there = True
    except EngineRefuses as error:
        if error.status != _GONE:
            raise
        there = False
    if settings.pull == "never" and not there:
        raise CannotPrepare(f"docker: there is no image {settings.image} here, and `pull: never` is said")
    if settings.pull == "always" or not there:
        job.say("agent", f"pulling {settings.image}")
        await engine.ask(_pull, engine.client, settings.image)


def _pull(client: Any, image: str) -> None:
    """Pull, to the end of what the engine tells: an error stands among it, with status 200. Blocks."""
    for told in client.pull(image, stream=True, decode=True):
        if "error" in told:
            raise EngineRefuses(f"docker: {image} cannot be pulled: {str(told['error'])[:_MAX_TEXT]}")


async def _created(engine: Engine, job: Job, settings: infrastructure.Docker) -> str:
    """Create the container and give its id; that of an earlier claim is ended first, never to run beside this one."""
    asked = wishes.container(job, settings)
    asked["host_config"] = engine.client.create_host_config(**wishes.host(settings))
    for _ in range(_TRIES):
        try:
            made = await engine.ask(engine.client.create_container, **asked)
        except EngineRefuses as error:
            if error.status != _CONFLICT:
                raise
            with contextlib.suppress(EngineRefuses):
                there = await engine.ask(engine.client.inspect_container, asked["name"])
                if there["Config"]["Labels"].get(f"{wishes.PREFIX}claim") == job.claim.token:
                    return str(there["Id"])
                job.say("agent", f"ending the container {there['Id'][:12]} of an earlier claim of this run")
                await _remove(engine, there["Id"])
        else:
            for warning in made.get("Warnings") or ():
                job.say("agent", f"docker: {warning}")
            return str(made["Id"])
    raise NotHere(f"docker: there is another container {asked['name']}, and it does not go away")


async def _remove(engine: Engine, container: str) -> None:
    with contextlib.suppress(EngineRefuses, EngineAway):
        await engine.ask(engine.client.remove_container, container, v=True, force=True)


def _read(found: Mapping[str, Any]) -> Ended:
    """Read how it ended from what the engine shows of it, its limit of memory too: whoever started it has set that."""
    state, limit = found["State"], int((found.get("HostConfig") or {}).get("Memory") or 0)
    code = int(state.get("ExitCode") or 0)
    if state.get("OOMKilled"):
        whose = f"its limit of {_size(limit)} of memory" if limit else "the machine's memory"
        return Ended(code, f"{whose} was reached (OOMKilled); {show(code)}")
    if error := str(state.get("Error") or ""):
        return Ended(code, f"{error[:_MAX_TEXT]}; {show(code)}")
    return Ended(code)


def _size(number: int) -> str:
    """Write a number of bytes as settings do: `150Mi`, in the largest unit that it is a whole number of."""
    units = ("", "Ki", "Mi", "Gi", "Ti")
    power = next(power for power in reversed(range(len(units))) if number % 1024**power == 0)
    return f"{number // 1024**power}{units[power]}"


def _stamped(line: bytes) -> tuple[str, str]:
    stamp, _, text = line.decode(errors="replace").rstrip("\r").partition(" ")
    return stamp, text


def _seconds(stamp: str) -> int:
    """Read the whole seconds of a time of the engine, which has nanoseconds."""
    return calendar.timegm(time.strptime(stamp[:19], "%Y-%m-%dT%H:%M:%S")) if stamp else 0
