"""What an automation may do on a firing: the models of its actions. They are carried out elsewhere.

In YAML an action is one key, its kind, with its parameters below. A new kind is a model and one `register`. Text
fields may be templates, which are checked where they are compiled.
"""

from collections.abc import Mapping
from functools import cached_property
from typing import Annotated, Any, Final, Literal, Self

from pydantic import AfterValidator, Field, JsonValue, create_model, model_validator

from airside.triggers.durations import DAY, Duration
from airside.triggers.strict import FromText, Several, Strict, Text

#: In place of a number of slots: any number.
UNLIMITED: Final = "none"
#: The largest shared limit, and the largest of a queue.
MAX_SLOTS: Final = 1_000_000
MAX_QUEUE_SLOTS: Final = 100_000


class Action(Strict):
    """One action: the kind, and its parameters under it."""

    @property
    def kind(self) -> str:
        """Name the kind, as in YAML."""
        return next(iter(type(self).model_fields))

    def to_dict(self) -> dict[str, Any]:
        """Give the action as a firing carries it: `kind` and the parameters side by side."""
        return dict(self._as_dict)

    @cached_property
    def _as_dict(self) -> dict[str, Any]:
        parameters = getattr(self, self.kind)
        return {"kind": self.kind, **parameters.model_dump(mode="json", exclude_none=True)}


_ACTIONS: dict[str, type[Action]] = {}


def register(kind: str, parameters: type[Strict]) -> None:
    """Make a kind of action known."""
    _ACTIONS[kind] = create_model(  # type: ignore[call-overload]
        f"{parameters.__name__}Action", __base__=Action, __doc__=parameters.__doc__, **{kind: (parameters, ...)}
    )


def actions() -> Mapping[str, type[Action]]:
    """Give the known kinds of actions."""
    return _ACTIONS


def _no_line_break(text: str) -> str:
    if "\n" in text or "\r" in text:
        raise ValueError("must be one line")
    return text


Line = Annotated[Text, AfterValidator(_no_line_break)]


class EmittedResource(Strict):
    """The resource of an emitted event."""

    id: Line
    kind: Line | None = None
    name: Line | None = None
    labels: dict[str, str] = Field({})


class EmittedRelated(EmittedResource):
    """A related resource of an emitted event."""

    role: Line


class Emit(Strict):
    """Puts an event on the log."""

    type: Line = Field(description="the event's type; not one that Airside itself writes")
    resource: Annotated[EmittedResource, FromText("id")] = Field(description="what the event is about")
    related: Several[EmittedRelated] = ()
    payload: dict[str, JsonValue] = Field({})
    labels: dict[str, str] = Field({}, description="labels of the resource")


class Webhook(Strict):
    """Calls an address, signed and repeated until it answers, always with the same id."""

    url: Line
    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"] = "POST"
    headers: dict[str, Line] = Field({})
    body: Text | dict[str, JsonValue] | None = Field(
        None, description="text, or an object sent as JSON; by default the firing"
    )
    secret: Line | None = Field(None, description="what signs it: a block, as `block:oncall`, or the name of a setting")
    timeout: Duration | None = None


class Notify(Strict):
    """Tells a person."""

    to: Line = Field(description="a block, as `block:oncall`, or the name of a setting")
    title: Line
    body: Text | None = None


AirflowName = Annotated[
    Line | None,
    Field(
        description="which Airflow: `prod` is set as AIRSIDE_AIRFLOW_PROD_URL and so on; by default AIRSIDE_AIRFLOW_URL"
    ),
]


class TriggerDag(Strict):
    """Starts a run of an Airflow DAG; a repeat of the action starts no second one."""

    dag: Line
    airflow: AirflowName = None
    conf: dict[str, JsonValue] = Field({}, description="the run's `conf`")


class PauseDag(Strict):
    """Pauses an Airflow DAG."""

    dag: Line
    airflow: AirflowName = None


class UnpauseDag(Strict):
    """Lets a paused Airflow DAG go on."""

    dag: Line
    airflow: AirflowName = None


class ClearDagRun(Strict):
    """Has an ended run of an Airflow DAG done again, whole or only what failed."""

    dag: Line
    run_id: Line
    airflow: AirflowName = None
    only_failed: bool = False


RunName = Annotated[
    Line | None, Field(description="its id, or its UUID alone; when left out, the run that the event is about")
]


class StartRun(Strict):
    """Starts a run of a deployment; a repeat of the action starts no second one."""

    deployment: Line | None = Field(
        None, description="its full name, as nightly/prod; when left out, the deployment of the event's run"
    )
    parameters: dict[str, JsonValue] = Field({}, description="in place of those of the deployment")


class CancelRun(Strict):
    """Cancels a run."""

    run: RunName = None
    reason: Text | None = None


class RetryRun(Strict):
    """Runs the same deployment again with the parameters of a run that has ended; a repeat starts no second one."""

    run: RunName = None
    at_most: int = Field(3, ge=1, le=1_000, description="how often in a row: a retry of a retry counts on")


class PauseRun(Strict):
    """Lets a run begin no further task; one that waits for an agent is held in its queue."""

    run: RunName = None


class ResumeRun(Strict):
    """Lets a paused or suspended run go on."""

    run: RunName = None
    input: dict[str, JsonValue] | None = Field(None, description="the answer, where the run waits for one")


class SetRunState(Strict):
    """Sets the state that the log has of a run; its process is not asked. What has ended stays, but for `crashed`."""

    run: RunName = None
    state: Literal["completed", "failed", "crashed", "cancelled"]
    message: Text | None = Field(None, description="why; shown with the run")


class PauseDeployment(Strict):
    """Pauses a deployment: its schedules start no more runs."""

    deployment: Line | None = Field(None, description="its full name; when left out, the deployment of the event's run")


class ResumeDeployment(Strict):
    """Lets a paused deployment go on."""

    deployment: Line | None = Field(None, description="its full name; when left out, the deployment of the event's run")


class PauseQueue(Strict):
    """Pauses a queue: agents are given none of its runs."""

    queue: Line | None = Field(None, description="its name; when left out, the queue of the event's run")


class ResumeQueue(Strict):
    """Lets a paused queue go on."""

    queue: Line | None = Field(None, description="its name; when left out, the queue of the event's run")


class Limit(Strict):
    """Sets how many runs of a queue agents may have at once, or a limit that processes share by its name."""

    queue: Line | None = Field(None, description="a queue's name; without it and `name`, the queue of the event's run")
    name: Line | None = Field(None, description="the name of a shared limit, as `airside limits ls` shows it")
    slots: int | Line = Field(description="how many at once, or a template of it; for a queue also `none`: any number")
    per: Annotated[Duration, Field(le=DAY)] | None = Field(
        None, description="of a shared limit: so many in this time, at most a day"
    )

    @model_validator(mode="after")
    def _fit(self) -> Self:
        if self.queue is not None and self.name is not None:
            raise ValueError("give `queue` or `name`, not both")
        if self.per is not None and self.name is None:
            raise ValueError("`per` is for a shared limit: give its `name`")
        if isinstance(self.slots, int):
            least = 0 if self.name is not None and self.per is None else 1
            most = MAX_SLOTS if self.name is not None else MAX_QUEUE_SLOTS
            if not least <= self.slots <= most:
                raise ValueError(f"slots: must be {least} to {most:,}")
        elif self.slots != UNLIMITED and "{" not in self.slots and not self.slots.isdecimal():
            raise ValueError(f"slots: must be a number, a template of one, or {UNLIMITED}")
        elif self.slots == UNLIMITED and self.name is not None:
            raise ValueError("slots: a shared limit has a number; `airside limits rm` takes it away")
        return self


AutomationName = Annotated[
    Line | None, Field(description="its name; when left out, the automation that the event is about")
]


class EnableAutomation(Strict):
    """Lets an automation fire again."""

    automation: AutomationName = None


class DisableAutomation(Strict):
    """Keeps an automation from firing."""

    automation: AutomationName = None


register("emit", Emit)
register("webhook", Webhook)
register("notify", Notify)
register("trigger_dag", TriggerDag)
register("pause_dag", PauseDag)
register("unpause_dag", UnpauseDag)
register("clear_dag_run", ClearDagRun)
register("start_run", StartRun)
register("cancel_run", CancelRun)
register("retry_run", RetryRun)
register("pause_run", PauseRun)
register("resume_run", ResumeRun)
register("set_run_state", SetRunState)
register("pause_deployment", PauseDeployment)
register("resume_deployment", ResumeDeployment)
register("pause_queue", PauseQueue)
register("resume_queue", ResumeQueue)
register("limit", Limit)
register("enable_automation", EnableAutomation)
register("disable_automation", DisableAutomation)
