"""What became of each action, on the log itself: the only memory of attempts, so that no crash resets it.

act.<workspace>.<action>.done      the outcome, once for ever
act.<workspace>.<action>.try<n>    attempt n failed and another will follow
act.<workspace>.<action>.event     what an `emit` wrote
"""

import asyncio
from base64 import b64decode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import msgspec
import orjson

from airside.events import subjects, vocabulary, wire
from airside.events.exceptions import LogUnavailable
from airside.events.log import Log, streams

_NO_MESSAGE: Final = 10_037
_LONG_AGO: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MAX_ERROR_CHARS: Final = 2_000
#: Waits between attempts to write an outcome; then the firing is left to the broker's redelivery.
_WRITE_AGAIN_SECONDS: Final = (0.2, 1.0)


@dataclass(frozen=True, slots=True)
class State:
    """Where an action stands. `retry_at` is when the next attempt is due; `progress` what the last one left."""

    done: bool = False
    attempts: int = 0
    retry_at: datetime = _LONG_AGO
    progress: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Action:
    """One action of one firing. `chain` are the firings that led to it, its own first."""

    firing: Mapping[str, Any]
    firing_id: str
    workspace: str
    index: int
    parameters: Mapping[str, Any]
    chain: tuple[str, ...]

    @property
    def id(self) -> str:
        """The action's id, the same at every attempt."""
        return f"{self.firing_id}.{self.index}"

    @property
    def kind(self) -> str:
        """The action's kind."""
        return str(self.parameters.get("kind", ""))

    @property
    def automation(self) -> str:
        """The automation's name."""
        return str(self.firing.get("automation", ""))


class Ledger:
    """Reads and writes what became of actions. Raises LogError."""

    def __init__(self, log: Log) -> None:
        self._log = log

    async def state(self, action: Action) -> State:
        """Read where an action stands: one request for a new one, two for one that was tried."""
        last = await self._last(action, "*")
        if last is None:
            return State()
        outcome, data = last
        if outcome == "done" or await self._last(action, "done"):
            return State(done=True)
        if not outcome.startswith("try"):
            return State()
        payload = wire.decode(data).payload_object()
        return State(
            attempts=int(payload["attempt"]),
            retry_at=datetime.fromisoformat(payload["retry_at"]),
            progress=payload.get("result") or {},
        )

    async def succeeded(
        self, action: Action, attempt: int, result: Mapping[str, Any], effects: Sequence[tuple[str, bytes]] = ()
    ) -> bool:
        """Record that the action was carried out; tell whether it is now.

        `effects` are what it writes once for ever, at best in one piece with the record: then nothing can come between
        them. Where that cannot be, the effects go first, each create-once, unless an end is recorded already.
        """
        details = {"attempt": attempt, "result": result}
        if effects:
            outcome = self._message(action, "done", vocabulary.ACTION_SUCCEEDED, details)
            if await self._log.create_together_once(*effects, outcome):
                return True
            if (await self.state(action)).done:
                return False
            for subject, data in effects:
                await self._log.create_once(subject, data)
        return await self._write(action, "done", vocabulary.ACTION_SUCCEEDED, details)

    async def failed(self, action: Action, attempt: int, error: str) -> None:
        """Record that the action was not carried out and will not be."""
        await self._write(action, "done", vocabulary.ACTION_FAILED, {"attempt": attempt, "error": error})

    async def retried(
        self, action: Action, attempt: int, error: str, delay_seconds: float, progress: Mapping[str, Any]
    ) -> None:
        """Record a failed attempt and when the next one is due."""
        due = datetime.now(UTC) + timedelta(seconds=delay_seconds)
        details = {
            "attempt": attempt,
            "result": progress or None,
            "error": error,
            "delay": round(delay_seconds, 3),
            "retry_at": due.isoformat().replace("+00:00", "Z"),
        }
        await self._write(action, f"try{attempt}", vocabulary.ACTION_RETRIED, details)

    async def _write(self, action: Action, outcome: str, event_type: str, details: Mapping[str, Any]) -> bool:
        subject, data = self._message(action, outcome, event_type, details)
        for pause in _WRITE_AGAIN_SECONDS:
            try:
                return await self._log.create_once(subject, data)
            except LogUnavailable:
                await asyncio.sleep(pause)
        return await self._log.create_once(subject, data)

    @staticmethod
    def _message(action: Action, outcome: str, event_type: str, details: Mapping[str, Any]) -> tuple[str, bytes]:
        event = _event(action, outcome, event_type, details)
        return subjects.action(action.workspace, action.id, outcome), wire.encode(event)

    async def _last(self, action: Action, outcome: str) -> tuple[str, bytes] | None:
        subject = subjects.action(action.workspace, action.id, outcome)
        try:
            answer = await streams.api(self._log.nc, f"STREAM.MSG.GET.{streams.FIRE}", {"last_by_subj": subject})
        except streams.ApiError as error:
            if error.code == _NO_MESSAGE:
                return None
            raise
        message = answer["message"]
        return message["subject"].rpartition(".")[2], b64decode(message.get("data", ""))


def _event(action: Action, outcome: str, event_type: str, details: Mapping[str, Any]) -> wire.WireEvent:
    error = details.get("error")
    payload = {
        "action": action.kind,
        "index": action.index,
        "firing": action.firing_id,
        "automation": action.automation,
        "revision": action.firing.get("revision"),
        "result": None,
        **details,
        "error": error[:_MAX_ERROR_CHARS] if isinstance(error, str) else None,
    }
    return wire.WireEvent(
        id=action.id if outcome == "done" else f"{action.id}.{outcome}",
        type=event_type,
        time=datetime.now(UTC),
        source="airside://actions",
        resource=wire.WireResource(f"automation://{action.automation}", "automation", action.automation),
        payload=msgspec.Raw(orjson.dumps(payload)),
        causes=action.chain,
        workspace=action.workspace,
    )
