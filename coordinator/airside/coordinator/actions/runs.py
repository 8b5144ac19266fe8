"""`start_run`, `retry_run`, `cancel_run`, `pause_run`, `resume_run`, `set_run_state`: what an automation does to runs.

The id of a run that is started or retried is made from the action's, so that a repeat finds the run that is there.
"""

from abc import abstractmethod
from typing import Any, Final
from uuid import UUID, uuid5

from airside.coordinator.actions import kinds
from airside.coordinator.actions.exceptions import ActionRefused, ActionRetry
from airside.coordinator.actions.on_plane import PlaneAction, by, named, origin, who
from airside.coordinator.deployments.starting import Asked
from airside.coordinator.runs import NoSuchRun
from airside.coordinator.runs import present as presents
from airside.coordinator.runs.exceptions import NotAllowed
from airside.events.run_states import State

_RUNS: Final = UUID("b1f7c2de-53a9-5d2f-8f3e-2b1a7f0c9e44")
#: Soon the run is in another state: it is between its queue and its process.
_PASSING: Final = frozenset({State.PENDING, State.RESUMED, State.RETRYING})


class StartRun(PlaneAction):
    """Starts a run of a deployment."""

    name = "start_run"

    async def act(self, context: kinds.ActionContext, plane: kinds.PlaneTools) -> dict[str, Any]:
        """Schedule the run, or find that it is there."""
        name = named(context, "deployment")
        came_from = origin(context)
        asked = Asked(
            parameters=context.texts.value(context.parameters.get("parameters") or {}),
            run=str(uuid5(_RUNS, f"{context.workspace}\0{context.action_id}")),
            by=by(context),
            causes=came_from.causes,
            more=came_from.payload(),
        )
        run, done = await plane.starter.start(context.workspace, name, asked)
        return {"run": run, "deployment": name, "position": done.position}


class _OnRun(PlaneAction):
    """What is done to a run that is there."""

    async def act(self, context: kinds.ActionContext, plane: kinds.PlaneTools) -> dict[str, Any]:
        """Find the run and do it."""
        run = presents.resource_id(named(context, "run"))
        try:
            return {"run": run, **await self.act_on(run, context, plane)}
        except NoSuchRun as error:
            raise ActionRefused(f"{run} is no run of a flow that the log tells of; only those take commands") from error
        except NotAllowed as error:
            if error.present is not None and error.present.state in _PASSING:
                raise ActionRetry(str(error)) from error
            raise

    @abstractmethod
    async def act_on(self, run: str, context: kinds.ActionContext, plane: kinds.PlaneTools) -> dict[str, Any]:
        """Do it to this run; give what is to be said beside the run's id."""


class CancelRun(_OnRun):
    """Cancels a run."""

    name = "cancel_run"

    async def act_on(self, run: str, context: kinds.ActionContext, plane: kinds.PlaneTools) -> dict[str, Any]:
        """Ask for the run's end; one that has ended already is left as it is."""
        reason = context.texts.text(str(context.parameters.get("reason") or ""))
        try:
            done = await plane.commands.cancel(context.workspace, run, who(context), reason=reason)
        except NotAllowed as error:
            return {"cancelled": False, "reason": str(error)}
        return {"cancelled": True, "state": str(done.state)}


class RetryRun(_OnRun):
    """Runs again what has ended."""

    name = "retry_run"

    async def act_on(self, run: str, context: kinds.ActionContext, plane: kinds.PlaneTools) -> dict[str, Any]:
        """Schedule the new run, or find that it is there."""
        at_most = context.parameters.get("at_most")
        new, done = await plane.again.retry(context.workspace, run, who(context), at_most=at_most)
        return {"run": new, "retry_of": run, "position": done.position}


class PauseRun(_OnRun):
    """Pauses a run."""

    name = "pause_run"

    async def act_on(self, run: str, context: kinds.ActionContext, plane: kinds.PlaneTools) -> dict[str, Any]:
        """Pause it, if it is not paused."""
        done = await plane.commands.pause(context.workspace, run, who(context))
        return {"state": str(done.state)}


class ResumeRun(_OnRun):
    """Resumes a run."""

    name = "resume_run"

    async def act_on(self, run: str, context: kinds.ActionContext, plane: kinds.PlaneTools) -> dict[str, Any]:
        """Resume it, with the answer that the rule gives."""
        answer = context.texts.value(context.parameters.get("input"))
        done = await plane.commands.resume(context.workspace, run, who(context), answer)
        return {"state": str(done.state)}


class SetRunState(_OnRun):
    """Sets what the log says of a run."""

    name = "set_run_state"
    plain_fields = frozenset({"state"})

    async def act_on(self, run: str, context: kinds.ActionContext, plane: kinds.PlaneTools) -> dict[str, Any]:
        """Set it, if it is not so."""
        state = State(context.parameters["state"])
        message = context.texts.text(str(context.parameters.get("message") or ""))
        done = await plane.commands.set_state(context.workspace, run, who(context), state, message=message)
        return {"state": str(done.state)}
