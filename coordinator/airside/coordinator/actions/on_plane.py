"""What the actions on the plane itself have in common.

Each takes effect once: what it changes names the action, and is looked through before the action changes anything, see
`coordinator.origins`. What they change carries the firings that led here among its `causes`.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from typing import Any

from airside.coordinator.actions import kinds
from airside.coordinator.actions.exceptions import ActionRefused, ActionRetry
from airside.coordinator.limits import LimitsUnavailable
from airside.coordinator.origins import Origin
from airside.coordinator.runs import RunChanged, Who
from airside.coordinator.runs.exceptions import NotAllowed
from airside.events.exceptions import AirsideError, LogError


class PlaneAction(ABC):
    """An action on the plane."""

    delays_seconds = (1.0, 5.0, 30.0, 120.0, 600.0)
    plain_fields = frozenset[str]()
    outside = False
    pure = False

    def problems(self, parameters: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        """Find nothing: what there is, is known when the rule fires."""
        yield from ()

    async def run(self, context: kinds.ActionContext) -> dict[str, Any]:
        """Carry it out once."""
        if context.tools.plane is None:
            raise ActionRefused("there is no plane here to tell")
        try:
            return await self.act(context, context.tools.plane)
        except (LogError, ActionRefused, ActionRetry):
            raise
        except NotAllowed as error:
            raise ActionRefused(str(error)) from error
        except (RunChanged, LimitsUnavailable) as error:
            raise ActionRetry(str(error)) from error
        except AirsideError as error:
            raise ActionRefused(str(error)) from error

    @abstractmethod
    async def act(self, context: kinds.ActionContext, plane: kinds.PlaneTools) -> dict[str, Any]:
        """Carry out what this kind does, and give the action's result."""


def by(context: kinds.ActionContext) -> str:
    """Say who acts."""
    return f"automation {context.automation}"


def origin(context: kinds.ActionContext) -> Origin:
    """Say what led here. Nothing that the action did can stand before the position at which it was decided."""
    decided = context.firing.get("position")
    return Origin(context.chain, context.action_id, decided if isinstance(decided, int) else 0)


def who(context: kinds.ActionContext) -> Who:
    """Say who commands a run."""
    return Who(by(context), via="automation", origin=origin(context))


def named(context: kinds.ActionContext, field: str) -> str:
    """Give what the rule names in a field, or else what the firing's event is about. Raises ActionRefused."""
    given = context.parameters.get(field)
    found = of_event(context, field) if given is None else context.texts.text(str(given)).strip()
    if field != "run":
        found = found.removeprefix(f"{field}://")
    if not found:
        raise ActionRefused(f"{field}: the event names no {field}; give `{field}` in the rule")
    return found


def of_event(context: kinds.ActionContext, kind: str) -> str:
    """Find a thing of a kind among those that the event is about or involves; '' when there is none."""
    shown = context.texts.context
    if kind == "run":
        return str((shown.get("run") or {}).get("id") or "")
    event = shown.get("event") or {}
    about = [event.get("resource") or {}, *(event.get("related") or ())]
    return next((str(one["id"]) for one in about if str(one.get("id", "")).startswith(f"{kind}://")), "")
