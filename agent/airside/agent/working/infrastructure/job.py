"""What is to be started, and what every infrastructure does with it."""

import fnmatch
import json
import os
import signal
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Protocol

from airside.agent.working.claims import Claim
from airside.agent.working.exceptions import CannotPrepare
from airside.events import durations
from airside.events.infrastructure import GRACE_SECONDS

CODE_VERSION: Final = "AIRSIDE_CODE_VERSION"
#: The deployment's `retries`, `retry_delay` and `timeout`, where it has any, in place of those of the flow.
OPTIONS: Final = "AIRSIDE_RUN_OPTIONS"
#: In a container: where the code comes from, and the parameters.
STORAGE: Final = "AIRSIDE_RUN_STORAGE"
PARAMETERS_JSON: Final = "AIRSIDE_RUN_PARAMETERS_JSON"
#: The kernel takes no variable that is longer than 128 KiB.
_MAX_PARAMETERS_BYTES: Final = 100_000
#: So long a container that ends waits for the plane to take its last events: what it kept goes with it.
_DELIVER_SECONDS: Final = "300"
_NOT_PASSED: Final = ("AIRSIDE_TOKEN", "AIRSIDE_RUN_", "AIRSIDE_AGENT_")


@dataclass(frozen=True, slots=True)
class Job:
    """A claim, with what its run needs from this machine. `say` takes what the run prints: a stream's name, a line."""

    claim: Claim
    folder: Path
    say: Callable[[str, str], object]
    #: The variables by which it finds the plane.
    plane: Mapping[str, str] = field(repr=False)
    #: Is told what must not be shown of what it prints.
    hide: Callable[[frozenset[str]], object] = field(default=lambda secrets: None, repr=False)


@dataclass(frozen=True, slots=True)
class Ended:
    """How it ended: the exit code (below 0: a signal; None: nobody knows it), and what ended it where that is known."""

    exit_code: int | None
    reason: str = ""


class Running(Protocol):
    """A run that was started: one interface for all kinds. Nothing here raises because an engine is away."""

    async def ended(self) -> Ended:
        """Wait for its end, telling what it prints; remove what is left of it."""
        ...

    async def stop(self) -> None:
        """Ask it to end; its settings' grace is how long it is given."""
        ...

    async def kill(self) -> None:
        """End it now."""
        ...


@dataclass(frozen=True, slots=True)
class Found:
    """What runs and was started by an agent that may be gone: its claim, and how to take it up or do away with it."""

    kind: str
    token: str
    run: str
    name: str
    seq: int
    grace: float
    #: Takes it up: where its lines go, and the time of the last that was told.
    take: Callable[[Callable[[str, str], object], str], Running] = field(repr=False)
    remove: Callable[[], Awaitable[None]] = field(repr=False)

    @classmethod
    def of(
        cls,
        kind: str,
        labels: Mapping[str, str],
        take: Callable[[Callable[[str, str], object], str], Running],
        remove: Callable[[], Awaitable[None]],
    ) -> "Found":
        """Read the labels that `labels_of` made."""
        grace, seq = labels.get("grace", ""), labels.get("seq", "")
        return cls(
            kind,
            labels["claim"],
            labels.get("run", ""),
            labels.get("name", ""),
            int(seq) if seq.isdigit() else 0,
            float(grace) if grace.replace(".", "", 1).isdigit() else GRACE_SECONDS,
            take,
            remove,
        )


def environment(claim: Claim) -> dict[str, str]:
    """Make the variables that tell a process which run it is."""
    made = {"PYTHONUNBUFFERED": "1", "AIRSIDE_LOG_CONSOLE": "false", "AIRSIDE_RUN_ID": claim.run}
    made |= {"AIRSIDE_RUN_SEQ": str(claim.seq), "AIRSIDE_RUN_NAME": claim.name, OPTIONS: json.dumps(_options(claim))}
    made |= {} if claim.answer is None else {"AIRSIDE_RUN_INPUT": json.dumps(claim.answer)}
    flow, name, queue = (str(claim.deployment.get(key) or "") for key in ("flow", "name", "queue"))
    return made | {"AIRSIDE_RUN_DEPLOYMENT": f"{flow}/{name}", "AIRSIDE_RUN_QUEUE": queue or "default"}


def in_container(job: Job, given: Mapping[str, str], passed: Iterable[str]) -> dict[str, str]:
    """Make the variables of a container, which has nothing of this machine: the code is brought in there.

    Raises CannotPrepare.
    """
    parameters = json.dumps(dict(job.claim.parameters))
    if len(parameters.encode()) > _MAX_PARAMETERS_BYTES:
        raise CannotPrepare(
            f"the parameters are longer than {_MAX_PARAMETERS_BYTES:,} bytes: a container takes no more"
        )
    plane = {key: value for key, value in job.plane.items() if key != "AIRSIDE_HOME"}
    own = environment(job.claim) | {PARAMETERS_JSON: parameters, STORAGE: json.dumps(job.claim.settings("storage"))}
    aside = {"AIRSIDE_HOME": "/tmp/airside", "AIRSIDE_EMIT_EXIT_SECONDS": _DELIVER_SECONDS}  # noqa: S108 - inside
    return {**aside, **matching(passed), **plane, **given, **own}


def matching(patterns: Iterable[str]) -> dict[str, str]:
    """Give the agent's own variables of these names; `*` stands for any ending. Its token is never among them."""
    names = {name for pattern in patterns for name in fnmatch.filter(os.environ, pattern)}
    return {name: os.environ[name] for name in sorted(names) if not name.startswith(_NOT_PASSED)}


def _options(claim: Claim) -> dict[str, float]:
    """Read what the deployment says of its runs; times in seconds. Raises CannotPrepare."""
    found: dict[str, float] = {}
    try:
        if retries := claim.deployment.get("retries"):
            found["retries"] = int(retries)
        for name in ("retry_delay", "timeout"):
            if (given := claim.deployment.get(name)) is not None:
                found[name] = durations.parse(given) / durations.SECOND
    except (TypeError, ValueError) as error:
        raise CannotPrepare(f"the deployment's retries, retry_delay or timeout: {error}") from error
    return found


def show(exit_code: int) -> str:
    """Write an exit code for people: the signal where it says one."""
    number = -exit_code if exit_code < 0 else exit_code - 128
    try:
        name = signal.Signals(number).name
    except ValueError:
        return f"exit code {exit_code}"
    return f"signal {name}" if exit_code < 0 else f"exit code {exit_code} ({name})"


def labels_of(claim: Claim) -> dict[str, Any]:
    """Give what a container or a job says of its run, so that any agent can tell whose it is."""
    return {"run": claim.run, "seq": str(claim.seq), "claim": claim.token, "name": claim.name}
