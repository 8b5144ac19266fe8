"""A deployment as a document: a flow that the plane can have started, and when. Pure; shared by all sides.

    name: prod
    flow: nightly
    entrypoint: flows/nightly.py:nightly
    schedules:
      - {name: early, cron: "0 6 * * *", timezone: Europe/Amsterdam}

It holds metadata alone: no code, no data, and never a secret. Credentials are named (`env:NAME`) and read by the agent.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, Final, Literal

from pydantic import (
    AfterValidator,
    Field,
    JsonValue,
    StringConstraints,
    ValidationError,
    model_validator,
)

from airside.events import recurring
from airside.events.durations import Duration
from airside.events.exceptions import AirsideError, Problem
from airside.events.infrastructure import Infrastructure, Process
from airside.events.storage import Line, Storage
from airside.events.strict import Strict, told
from airside.events.wall_clock import Cron, TimeZone

#: A scheduled run is not made up for beyond so many, whatever `catchup` says.
MAX_CATCHUP: Final = 100
DEFAULT_QUEUE: Final = "default"
_MAX_SCHEDULES: Final = 50


class InvalidDeployment(AirsideError):
    """The document is refused; `problems` names each field and what was expected there."""

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = problems
        super().__init__("; ".join(str(problem) for problem in problems))


def _one_name(text: str) -> str:
    if not text.isprintable() or text != text.strip() or "/" in text:
        raise ValueError("must be printable, without `/` and without spaces around it")
    if text in (".", ".."):
        raise ValueError("must be a name: addresses take `.` and `..` away")
    return text


def _rrule(text: str) -> str:
    recurring.read(text)
    return text


def _entrypoint(text: str) -> str:
    file, colon, function = text.rpartition(":")
    if not colon or not file or not function.isidentifier():
        raise ValueError("must be FILE.py:FUNCTION or package.module:FUNCTION")
    return text


Name = Annotated[str, StringConstraints(min_length=1, max_length=100), AfterValidator(_one_name)]
Text = Annotated[str, StringConstraints(max_length=10_000)]


class Schedule(Strict):
    """When runs start by themselves: a cron expression, an interval, a recurrence rule, or one moment."""

    name: Name = "schedule"
    cron: Cron | None = Field(None, description="five fields, in local time")
    every: Duration | None = Field(None, description="an interval, counted from `anchor`")
    rrule: Annotated[Line, AfterValidator(_rrule)] | None = Field(
        None, description="a recurrence rule of RFC 5545, in local time, as FREQ=WEEKLY;BYDAY=MO,WE;BYHOUR=6"
    )
    anchor: datetime | None = Field(
        None, description="a moment that the interval hits, by default 1970; the local time a recurrence rule begins at"
    )
    at: datetime | None = Field(None, description="one moment; without an offset it is local to `timezone`")
    timezone: TimeZone = "UTC"
    parameters: dict[str, JsonValue] = Field({}, description="in place of those of the deployment")
    enabled: bool = True
    catchup: Literal["none", "latest", "all"] = Field("none", description="runs that were missed while all was down")

    @model_validator(mode="after")
    def _one_way(self) -> "Schedule":
        if sum(way is not None for way in (self.cron, self.every, self.rrule, self.at)) != 1:
            raise ValueError("give one of `cron`, `every`, `rrule` and `at`")
        if self.anchor is not None and self.every is None and self.rrule is None:
            raise ValueError("`anchor` goes with `every` and `rrule`")
        if self.rrule is not None:
            if self.anchor is not None and self.anchor.tzinfo is not None:
                raise ValueError("`anchor` of an `rrule` is a local time of its `timezone`: leave the offset out")
            try:
                recurring.rule(self.rrule, self.anchor)
            except ValueError as error:
                raise ValueError(f"`rrule`: {error}") from None
        if self.every is not None and self.every < 1_000_000:
            raise ValueError("`every` must be at least 1s")
        return self


class Concurrency(Strict):
    """How many runs of this deployment may go on at once, and what happens to one too many."""

    limit: int = Field(ge=1, le=10_000)
    on_full: Literal["queue", "cancel_new", "cancel_running"] = "queue"


class Deployment(Strict):
    """The whole document."""

    name: Name
    flow: Name
    entrypoint: Annotated[Line, AfterValidator(_entrypoint)]
    version: Line | None = None
    description: Text = ""
    project: Name | None = Field(None, description="whose deployments `apply --prune` compares with its file")
    tags: list[Line] = Field([], max_length=100)
    parameters: dict[str, JsonValue] = Field({})
    parameters_schema: dict[str, JsonValue] = Field({}, description="JSON Schema of the flow's parameters")
    queue: Name = DEFAULT_QUEUE
    priority: int = Field(5, ge=0, le=9, description="0 is served first")
    schedules: list[Schedule] = Field([], max_length=_MAX_SCHEDULES)
    storage: Storage = Storage()
    infrastructure: Infrastructure = Process()
    concurrency: Concurrency | None = None
    retries: int = Field(0, ge=0, le=1_000)
    retry_delay: Duration | None = None
    timeout: Duration | None = None
    on_lost: Literal["crash", "requeue"] = Field("crash", description="what becomes of a run whose agent is lost")
    slas: list[dict[str, JsonValue]] = Field([], max_length=100)
    enabled: bool = Field(True, description="false: paused")

    @property
    def full_name(self) -> str:
        """Name it with its flow: `nightly/prod`."""
        return f"{self.flow}/{self.name}"

    def to_document(self) -> dict[str, Any]:
        """Write it as JSON, without what is at its default. Reads back as the same deployment."""
        return self.model_dump(mode="json", exclude_defaults=True)

    @model_validator(mode="after")
    def _names_differ(self) -> "Deployment":
        names = [schedule.name for schedule in self.schedules]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"several schedules are called `{twice[0]}`; give each a `name` of its own")
        return self


def resource_id(full_name: str) -> str:
    """Give the resource of a deployment by its full name, `nightly/prod`."""
    return f"deployment://{full_name}"


def members(data: Any) -> Sequence[Any]:
    """Give the documents in one: itself, those of a list, or those under `deployments`, each with its `project`.

    A document that names a project of its own keeps that name.
    """
    if isinstance(data, Mapping) and "deployments" in data and set(data) <= {"deployments", "project"}:
        listed = data["deployments"]
        if isinstance(listed, list):
            told = {key: data[key] for key in ("project",) if key in data}
            return [{**told, **one} if isinstance(one, Mapping) else one for one in listed]
    return data if isinstance(data, list) else [data]


def parse(data: Any) -> Deployment:
    """Read a document. Raises InvalidDeployment naming each field that is wrong."""
    if not isinstance(data, Mapping):
        raise InvalidDeployment([Problem("", "a deployment must be an object with `name`, `flow` and `entrypoint`")])
    try:
        return Deployment.model_validate(dict(data))
    except ValidationError as error:
        raise InvalidDeployment(told(error, ("infrastructure",))) from None
