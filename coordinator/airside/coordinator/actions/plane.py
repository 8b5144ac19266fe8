"""`start_run`, `cancel_run`, `pause_queue` and so on: what an automation tells the plane itself to do.

A run's id is made from the action's, so that a repeat finds the run that is there. The other commands say how something
is to be: a repeat finds it so. What they change carries the firings that led here among its `causes`.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final
from uuid import UUID, uuid5

from airside.coordinator.actions import kinds
from airside.coordinator.actions.exceptions import ActionRefused
from airside.coordinator.deployments.starting import Asked, ParametersRefused
from airside.coordinator.deployments.store import NoSuchDeployment
from airside.coordinator.runs import NoSuchRun, RunChanged, Who
from airside.coordinator.runs import present as presents
from airside.events.exceptions import AirsideError, LogError

_RUNS: Final = UUID("b1f7c2de-53a9-5d2f-8f3e-2b1a7f0c9e44")


class _PlaneAction:
    """What the actions on the plane have in common."""

    delays_seconds = (1.0, 5.0, 30.0, 120.0, 600.0)
    plain_fields = frozenset[str]()

    def problems(self, parameters: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        """Find nothing: what there is, is known when the rule fires."""
        yield from ()

    async def run(self, context: kinds.ActionContext) -> dict[str, Any]:
        """Carry it out once."""
        if context.tools.plane is None:
            raise ActionRefused("there is no plane here to tell")
        try:
            return await self.act(context, context.tools.plane)
        except (LogError, ActionRefused):
            raise
        except (NoSuchDeployment, ParametersRefused, NoSuchRun, AirsideError) as error:
            raise ActionRefused(str(error)) from error

    async def act(self, context: kinds.ActionContext, plane: kinds.PlaneTools) -> dict[str, Any]:
        """Carry out what this kind does."""
        raise NotImplementedError


class StartRun(_PlaneAction):
    """Starts a run of a deployment."""

    name = "start_run"

    async def act(self, context: kinds.ActionContext, plane: kinds.PlaneTools) -> dict[str, Any]:
        """Schedule the run, or find that it is there."""
        name = _named(context, "deployment", "deployment")
        asked = Asked(
            parameters=context.texts.value(context.parameters.get("parameters") or {}),
            run=str(uuid5(_RUNS, f"{context.workspace}\0{context.action_id}")),
            by=f"automation {context.automation}",
            causes=context.chain,
        )
        run, done = await plane.starter.start(context.workspace, name, asked)
        return {"run": run, "deployment": name, "position": done.position}


class CancelRun(_PlaneAction):
    """Cancels a run."""

    name = "cancel_run"

    async def act(self, context: kinds.ActionContext, plane: kinds.PlaneTools) -> dict[str, Any]:
        """Ask for the run's end; one that has ended already is left as it is."""
        run = presents.resource_id(_named(context, "run", "run"))
        reason = context.texts.text(str(context.parameters.get("reason") or ""))
        who = Who(f"automation {context.automation}")
        try:
            done = await plane.commands.cancel(context.workspace, run, who, reason=reason, causes=context.chain)
        except RunChanged as error:
            return {"run": run, "cancelled": False, "reason": str(error)}
        return {"run": run, "cancelled": True, "state": str(done.state)}


class PauseDeployment(_PlaneAction):
    """Pauses a deployment."""

    name = "pause_deployment"

    async def act(self, context: kinds.ActionContext, plane: kinds.PlaneTools) -> dict[str, Any]:
        """Pause it, if it is not paused."""
        name, by = _named(context, "deployment", "deployment"), f"automation {context.automation}"
        return await plane.store.pause(context.workspace, name, by, context.chain)


class ResumeDeployment(_PlaneAction):
    """Resumes a deployment."""

    name = "resume_deployment"

    async def act(self, context: kinds.ActionContext, plane: kinds.PlaneTools) -> dict[str, Any]:
        """Resume it, if it is paused."""
        name, by = _named(context, "deployment", "deployment"), f"automation {context.automation}"
        return await plane.store.resume(context.workspace, name, by, context.chain)


class _SetQueue(_PlaneAction):
    paused = True

    async def act(self, context: kinds.ActionContext, plane: kinds.PlaneTools) -> dict[str, Any]:
        """Set it, whatever it was."""
        name, by = _named(context, "queue", "queue"), f"automation {context.automation}"
        await plane.store.set_queue(context.workspace, name, by, context.chain, paused=self.paused)
        return {"queue": name, "paused": self.paused}


class PauseQueue(_SetQueue):
    """Pauses a queue."""

    name = "pause_queue"


class ResumeQueue(_SetQueue):
    """Resumes a queue."""

    name = "resume_queue"
    paused = False


class _SwitchAutomation(_PlaneAction):
    enabled = True

    async def act(self, context: kinds.ActionContext, plane: kinds.PlaneTools) -> dict[str, Any]:
        """Switch it, whatever it was."""
        name = context.texts.text(str(context.parameters["automation"])).strip()
        await (plane.automations.enable(name) if self.enabled else plane.automations.disable(name))
        return {"automation": name, "enabled": self.enabled}


class EnableAutomation(_SwitchAutomation):
    """Lets an automation fire again."""

    name = "enable_automation"


class DisableAutomation(_SwitchAutomation):
    """Keeps an automation from firing."""

    name = "disable_automation"
    enabled = False


def _named(context: kinds.ActionContext, field: str, role: str) -> str:
    """Give what the rule names, or else what the firing's event is about. Raises ActionRefused."""
    given = context.parameters.get(field)
    found = _of_event(context, role) if given is None else context.texts.text(str(given)).strip()
    if role != "run":
        found = found.removeprefix(f"{role}://")
    if not found:
        raise ActionRefused(f"{field}: the event names no {role}; give `{field}` in the rule")
    return found


def _of_event(context: kinds.ActionContext, role: str) -> str:
    shown = context.texts.context
    if role == "run":
        return str((shown.get("run") or {}).get("id") or "")
    event = shown.get("event") or {}
    about = [event.get("resource") or {}, *(event.get("related") or ())]
    return next((str(one["id"]) for one in about if str(one.get("id", "")).startswith(f"{role}://")), "")
