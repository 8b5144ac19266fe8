"""Carries out the actions of one firing, each until it is done, none twice that is known to be done."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Any, Final

import orjson

from airside.coordinator.actions import context, lineage
from airside.coordinator.actions.exceptions import ActionRefused, ActionRetry
from airside.coordinator.actions.kinds import ActionContext, ActionKind, Tools
from airside.coordinator.actions.ledger import Action, Ledger, State
from airside.coordinator.actions.texts import Texts
from airside.events.exceptions import LogError, LogRefused, LogUnavailable
from airside.events.log import Log, streams
from airside.events.wire import Record, WireEvent

#: The share of a wait that is added at most, so that what failed together is not tried again together.
_JITTER: Final = 0.1
_log = logging.getLogger("airside.actions")


class InvalidFiring(ValueError):
    """The message is no firing."""


class Executor:
    """Runs firings; keeps nothing in memory between them."""

    def __init__(
        self, log: Log, tools: Tools, kinds: Mapping[str, ActionKind], on_outcome: Callable[[str, str], None]
    ) -> None:
        self._log = log
        self._tools = tools
        self._kinds = kinds
        self._on_outcome = on_outcome
        self._ledger = Ledger(log)

    async def run(self, event: WireEvent, *, outside: bool, first: bool) -> float | None:
        """Carry out what is due of a firing; give the seconds until there is more to do, None when all is done.

        Either its actions that call the outside, or all others. `first` says that the broker never handed the firing
        out before. Raises InvalidFiring, and LogError when the log did not answer for one of the actions; the others
        went on.
        """
        firing = _firing(event)
        if not outside and "actions" in (firing.get("left_out") or ()):
            await self._left_out(firing, event)
        wanted = [
            (index, parameters)
            for index, parameters in enumerate(firing["actions"])
            if self.is_outside(str(parameters.get("kind", ""))) is outside
        ]
        if not wanted:
            return None
        events = await self._events(firing)
        chain = await lineage.ancestors(events[-1] if events else None, self._fetch)
        depth = max(len(chain) + 1, int(firing.get("depth") or 0))
        shown = context.build(firing, events)
        waits = await asyncio.gather(
            *(
                self._act(
                    Action(firing, event.id, event.workspace, index, parameters, (event.id, *chain)),
                    shown,
                    depth,
                    first,
                )
                for index, parameters in wanted
            ),
            return_exceptions=True,
        )
        for failure in waits:
            if isinstance(failure, BaseException):
                raise failure
        due = [wait for wait in waits if isinstance(wait, float)]
        return min(due) if due else None

    def is_outside(self, kind: str) -> bool:
        """Tell whether an action of this kind calls what is outside the plane."""
        found = self._kinds.get(kind)
        return found is not None and found.outside

    async def _act(self, action: Action, shown: Mapping[str, Any], depth: int, first: bool) -> float | None:
        """Try one action once if it is due; give the seconds until its next attempt."""
        if depth > self._tools.settings.max_depth:
            await self._cut(action, depth)
            return None
        state = await self._state(action, first)
        if state.done:
            return None
        wait = (state.retry_at - datetime.now(UTC)).total_seconds() if state.attempts else 0.0
        if wait > 0:
            return wait
        attempt = state.attempts + 1
        try:
            attempted = self._context(action, state, shown)
            result = await self._kind(action).run(attempted)
            if await self._ledger.succeeded(action, attempt, result, attempted.effects):
                self._note(logging.INFO, "succeeded", action, attempt, "")
        except ActionRefused as error:
            await self._ledger.failed(action, attempt, str(error))
            self._note(logging.WARNING, "failed", action, attempt, str(error))
        except ActionRetry as error:
            return await self._again(action, attempt, error)
        except LogRefused as error:
            await self._ledger.failed(action, attempt, str(error))
            self._note(logging.WARNING, "failed", action, attempt, str(error))
        except LogError:
            raise
        except Exception as error:  # noqa: BLE001 - a mistake of ours or a library's must not lose an action
            _log.exception("an action ended unexpectedly", extra={"action": "action_crashed", "id": action.id})
            return await self._again(action, attempt, ActionRetry(f"unexpected {type(error).__name__}"))
        return None

    async def _state(self, action: Action, first: bool) -> State:
        """Read where an action stands. What nobody was handed before, and changes nothing by itself, needs no look:
        should there be an end of it all the same, nothing more of it can be written."""
        kind = self._kinds.get(action.kind)
        if first and kind is not None and kind.pure:
            return State()
        return await self._ledger.state(action)

    async def _again(self, action: Action, attempt: int, error: ActionRetry) -> float | None:
        delays = self._tools.settings.delays.get(action.kind) or self._kind(action).delays_seconds
        if attempt > len(delays):
            await self._ledger.failed(action, attempt, f"given up after {attempt} attempts: {error}")
            self._note(logging.ERROR, "failed", action, attempt, str(error))
            return None
        delay = max(delays[attempt - 1], error.after_seconds) * (1 + _JITTER * _fraction(action.id, attempt))
        await self._ledger.retried(action, attempt, str(error), delay, error.progress)
        self._note(logging.WARNING, "retried", action, attempt, str(error))
        return delay

    async def _cut(self, action: Action, depth: int) -> None:
        """End a chain of firings: the first one too many is recorded, what that may set off is passed over."""
        most = self._tools.settings.max_depth
        words = (
            f"a loop was cut: {most} firings already followed from one another, see `causes`; narrow the trigger"
            " that an action sets off again"
        )
        self._on_outcome(action.kind if action.kind in self._kinds else "unknown", "cut")
        if depth == most + 1:
            await self._ledger.failed(action, 0, words)
        self._note(logging.ERROR, "failed", action, 0, words)

    async def _left_out(self, firing: Mapping[str, Any], event: WireEvent) -> None:
        """Record that the actions of a firing do not run because they were too large to be written with it."""
        action = Action(firing, event.id, event.workspace, 0, {}, (event.id,))
        words = "the firing was too large for a message, and its actions were left out: make its texts shorter"
        await self._ledger.failed(action, 0, words)
        self._note(logging.ERROR, "failed", action, 0, words)

    def _note(self, level: int, outcome: str, action: Action, attempt: int, error: str) -> None:
        self._on_outcome(action.kind if action.kind in self._kinds else "unknown", outcome)
        words = f"{outcome}: {error}" if error else outcome
        about = {"action": f"action_{outcome}", "id": action.id, "automation": action.automation, "attempt": attempt}
        _log.log(level, "%s %s of automation %s %s", action.kind, action.id, action.automation, words, extra=about)

    def _kind(self, action: Action) -> ActionKind:
        kind = self._kinds.get(action.kind)
        if kind is None:
            known = ", ".join(sorted(self._kinds))
            raise ActionRefused(f"this coordinator knows no action `{action.kind}`; it knows {known}")
        return kind

    def _context(self, action: Action, state: State, shown: Mapping[str, Any]) -> ActionContext:
        return ActionContext(
            action_id=action.id,
            workspace=action.workspace,
            automation=action.automation,
            firing=action.firing,
            parameters=action.parameters,
            chain=action.chain,
            attempt=state.attempts + 1,
            progress=state.progress,
            texts=Texts(shown),
            tools=self._tools,
        )

    async def _events(self, firing: Mapping[str, Any]) -> list[Record]:
        """Fetch the firing's events: only the decisive one where no text asks for all of them."""
        references = [entry for entry in firing.get("events") or [] if isinstance(entry, Mapping)]
        if b"events" not in orjson.dumps(firing["actions"]):
            references = references[-1:]
        found = await asyncio.gather(*(self._fetch(reference) for reference in references))
        return [record for record in found if record is not None]

    async def _fetch(self, reference: Mapping[str, Any]) -> Record | None:
        """Fetch an event by its place on the log; None when another stands there, or none."""
        try:
            entry = await self._log.get(int(reference["position"]))
        except (LogUnavailable, streams.ApiError):
            raise
        except (LogError, KeyError, TypeError, ValueError):
            return None
        return entry if isinstance(entry, Record) and entry.event.id == reference.get("id") else None


def _firing(event: WireEvent) -> dict[str, Any]:
    try:
        firing = event.payload_object()
    except ValueError as error:
        raise InvalidFiring(f"the payload is no JSON: {error}") from error
    actions = firing.get("actions") if isinstance(firing, dict) else None
    if not isinstance(actions, list) or not all(isinstance(entry, dict) for entry in actions):
        raise InvalidFiring("the payload is no firing: it has no list of actions")
    return firing


def _fraction(action_id: str, attempt: int) -> float:
    """Give a number from 0 to 1 that is the same for the same attempt."""
    return blake2b(f"{action_id}.{attempt}".encode(), digest_size=1).digest()[0] / 255
