"""`pause_deployment`, `pause_queue`, `limit` and so on: how an automation says that things on the plane are to be."""

from typing import Any

from airside.coordinator.actions import kinds
from airside.coordinator.actions.exceptions import ActionRefused
from airside.coordinator.actions.on_plane import PlaneAction, by, named, origin
from airside.coordinator.limits import book as limits
from airside.triggers import durations
from airside.triggers.actions import MAX_QUEUE_SLOTS, MAX_SLOTS, UNLIMITED


class PauseDeployment(PlaneAction):
    """Pauses a deployment."""

    name = "pause_deployment"

    async def act(self, context: kinds.ActionContext, plane: kinds.PlaneTools) -> dict[str, Any]:
        """Pause it, if it is not paused."""
        return await plane.store.pause(context.workspace, named(context, "deployment"), by(context), origin(context))


class ResumeDeployment(PlaneAction):
    """Resumes a deployment."""

    name = "resume_deployment"

    async def act(self, context: kinds.ActionContext, plane: kinds.PlaneTools) -> dict[str, Any]:
        """Resume it, if it is paused."""
        return await plane.store.resume(context.workspace, named(context, "deployment"), by(context), origin(context))


class _SetQueue(PlaneAction):
    paused = True

    async def act(self, context: kinds.ActionContext, plane: kinds.PlaneTools) -> dict[str, Any]:
        """Set it, whatever it was."""
        name = named(context, "queue")
        await plane.store.set_queue(context.workspace, name, by(context), origin(context), paused=self.paused)
        return {"queue": name, "paused": self.paused}


class PauseQueue(_SetQueue):
    """Pauses a queue."""

    name = "pause_queue"


class ResumeQueue(_SetQueue):
    """Resumes a queue."""

    name = "resume_queue"
    paused = False


class Limit(PlaneAction):
    """Sets the limit of a queue, or one that processes share by its name."""

    name = "limit"
    plain_fields = frozenset({"per"})

    async def act(self, context: kinds.ActionContext, plane: kinds.PlaneTools) -> dict[str, Any]:
        """Set it, whatever it was."""
        slots = _slots(context)
        if "name" in context.parameters:
            if slots is None:
                raise ActionRefused("slots: a limit has a number; only a queue can be without")
            name = context.texts.text(str(context.parameters["name"])).strip()
            if not limits.is_name(name):
                raise ActionRefused(f"name: must be 1 to {limits.MAX_NAME} printable characters")
            per = context.parameters.get("per")
            seconds = durations.parse(per) / durations.SECOND if per else 0.0
            if per and not slots:
                raise ActionRefused("slots: a rate needs at least one")
            await plane.limits.set(
                context.workspace, name, slots, per_seconds=seconds, by=by(context), origin=origin(context)
            )
            return {"name": name, "slots": slots, "per_seconds": seconds or None}
        queue = named(context, "queue")
        if slots is not None and not 1 <= slots <= MAX_QUEUE_SLOTS:
            raise ActionRefused(f"slots: a queue gives 1 to {MAX_QUEUE_SLOTS:,}; pause it to give none")
        await plane.store.set_queue(context.workspace, queue, by(context), origin(context), limit=slots)
        return {"queue": queue, "limit": slots}


class _SwitchAutomation(PlaneAction):
    enabled = True

    async def act(self, context: kinds.ActionContext, plane: kinds.PlaneTools) -> dict[str, Any]:
        """Switch it, if it is not so."""
        name = named(context, "automation")
        switch = plane.automations.enable if self.enabled else plane.automations.disable
        await switch(name, origin(context))
        return {"automation": name, "enabled": self.enabled}


class EnableAutomation(_SwitchAutomation):
    """Lets an automation fire again."""

    name = "enable_automation"


class DisableAutomation(_SwitchAutomation):
    """Keeps an automation from firing."""

    name = "disable_automation"
    enabled = False


def _slots(context: kinds.ActionContext) -> int | None:
    """Read how many slots are wanted; None for no limit. Raises ActionRefused."""
    found = context.texts.value(context.parameters["slots"])
    if found == UNLIMITED:
        return None
    if isinstance(found, str) and found.strip().isdecimal():
        found = int(found)
    if type(found) is not int or not 0 <= found <= MAX_SLOTS:
        raise ActionRefused(f"slots: must be a whole number from 0 to {MAX_SLOTS:,}, or {UNLIMITED}")
    return found
