"""What an automation may do on a firing: the models of its actions. They are carried out elsewhere.

In YAML an action is one key, its kind, with its parameters below. A new kind is a model and one `register`. Text
fields may be templates, which are checked where they are compiled.
"""

from collections.abc import Mapping
from functools import cached_property
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, JsonValue, create_model

from airside.triggers.durations import Duration
from airside.triggers.strict import FromText, Several, Strict, Text


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
    secret: Line | None = Field(None, description="the name of the setting that holds the signing secret")
    timeout: Duration | None = None


class Notify(Strict):
    """Tells a person."""

    to: Line = Field(description="`block:oncall`, or the name of a setting")
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


class StartRun(Strict):
    """Starts a run of a deployment; a repeat of the action starts no second one."""

    deployment: Line = Field(description="its full name, as nightly/prod")
    parameters: dict[str, JsonValue] = Field({}, description="in place of those of the deployment")


class CancelRun(Strict):
    """Cancels a run."""

    run: Line | None = Field(None, description="its id; when left out, the run that the event is about")
    reason: Text | None = None


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


class EnableAutomation(Strict):
    """Lets an automation fire again."""

    automation: Line


class DisableAutomation(Strict):
    """Keeps an automation from firing."""

    automation: Line


register("emit", Emit)
register("webhook", Webhook)
register("notify", Notify)
register("trigger_dag", TriggerDag)
register("pause_dag", PauseDag)
register("unpause_dag", UnpauseDag)
register("clear_dag_run", ClearDagRun)
register("start_run", StartRun)
register("cancel_run", CancelRun)
register("pause_deployment", PauseDeployment)
register("resume_deployment", ResumeDeployment)
register("pause_queue", PauseQueue)
register("resume_queue", ResumeQueue)
register("enable_automation", EnableAutomation)
register("disable_automation", DisableAutomation)
