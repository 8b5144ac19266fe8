"""`trigger_dag`, `pause_dag`, `unpause_dag`, `clear_dag_run`: act on an Airflow by its REST API (v2).

Where Airflow is and who we are there is set on the server by name, never in a rule: AIRSIDE_AIRFLOW_<NAME>_URL with
_TOKEN, or with _USER and _PASSWORD. A run that is triggered has an id made from the action's, so that Airflow itself
refuses a repeat; pausing twice is pausing; a run that goes on is not cleared again.
"""

import re
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote

import orjson

from airside.coordinator.actions import kinds
from airside.coordinator.actions.exceptions import ActionRefused, ActionRetry
from airside.coordinator.actions.signing import variable
from airside.coordinator.outbound import Reply, RequestFailed, TargetRefused, shown

_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}")
_PREFIX: Final = "AIRSIDE_AIRFLOW"
_AGAIN: Final = frozenset({401, 408, 425, 429})
_TOKEN_SECONDS: Final = 600.0
_MAX_CONF_BYTES: Final = 65_536
_SHOWN_OF_REPLY: Final = 200
#: Airflow reads `~` in a path as `all of them`.
_NOT_ONE: Final = frozenset({"", "~", ".", ".."})


@dataclass(frozen=True, slots=True)
class _Airflow:
    """One Airflow, as the operator set it."""

    url: str
    user: str = ""
    password: str = field(default="", repr=False)
    token: str = field(default="", repr=False)


class _Tokens:
    """What log-ins gave, for a while."""

    def __init__(self) -> None:
        self._kept: dict[_Airflow, tuple[float, str]] = {}

    async def of(self, airflow: _Airflow, tools: kinds.Tools) -> str:
        """Give a token, by logging in if there is none. Raises ActionRetry, ActionRefused."""
        if airflow.token or not airflow.user:
            return airflow.token
        until, token = self._kept.get(airflow, (0.0, ""))
        if time.monotonic() < until:
            return token
        body = orjson.dumps({"username": airflow.user, "password": airflow.password})
        reply = await _ask(tools, "POST", f"{airflow.url}/auth/token", body, "")
        if reply.status in (400, 401, 403, 422):
            raise ActionRefused(f"{shown(airflow.url)} does not know the user and password that are set for it")
        try:
            token = str(orjson.loads(reply.body)["access_token"])
        except (orjson.JSONDecodeError, KeyError, TypeError) as error:
            raise ActionRetry(f"{shown(airflow.url)} gave no token: {reply.status}") from error
        self._kept[airflow] = (time.monotonic() + _TOKEN_SECONDS, token)
        return token

    def forget(self, airflow: _Airflow) -> None:
        """Log in anew the next time."""
        self._kept.pop(airflow, None)


_tokens: Final = _Tokens()


class _Call:
    """One attempt: the rendered names, and requests to the Airflow that the rule names."""

    def __init__(self, context: kinds.ActionContext, airflow: _Airflow) -> None:
        self._context = context
        self._airflow = airflow
        self.dag = self.text("dag")
        self.path = f"/api/v2/dags/{quote(self.dag, safe='')}"

    def text(self, name: str) -> str:
        """Render a parameter that names one thing."""
        found = self._context.texts.text(str(self._context.parameters.get(name, ""))).strip()
        if found in _NOT_ONE or len(found) > 250:
            raise ActionRefused(f"{name}: `{found[:40]}` names no {name} of Airflow")
        return found

    async def request(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Reply:
        """Ask Airflow. Raises ActionRetry for what may pass."""
        tools = self._context.tools
        token = await _tokens.of(self._airflow, tools)
        url = f"{self._airflow.url}{path}"
        reply = await _ask(tools, method, url, orjson.dumps(body) if body is not None else b"", token)
        if reply.status in _AGAIN or reply.status >= 500:
            _tokens.forget(self._airflow)
            raise ActionRetry(_words(url, reply))
        return reply

    def done(self, reply: Reply, **result: Any) -> dict[str, Any]:
        """Give the result of an answer that is a success. Raises ActionRefused for any other."""
        if not 200 <= reply.status < 300:
            raise ActionRefused(_words(self._airflow.url, reply))
        return {"dag": self.dag, **result}


class _AirflowAction(ABC):
    """What the actions on Airflow have in common."""

    delays_seconds = (5.0, 30.0, 120.0, 600.0, 3_600.0)
    plain_fields = frozenset({"airflow", "only_failed"})
    outside = True
    pure = False

    def problems(self, parameters: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        """Find names that are none."""
        name = parameters.get("airflow")
        if name is not None and not _NAME.fullmatch(str(name)):
            yield "airflow", "give the name of an Airflow: `prod` is read from AIRSIDE_AIRFLOW_PROD_URL and so on"
        for field_name in ("dag", "run_id"):
            if str(parameters.get(field_name, "-")).strip() in _NOT_ONE:
                yield field_name, "must name one: `~` would mean all of them"

    async def run(self, context: kinds.ActionContext) -> dict[str, Any]:
        """Carry it out once."""
        if found := next(self.problems(context.parameters), None):
            raise ActionRefused(f"{found[0]}: {found[1]}")
        airflow = looked_up(context.tools.settings.environment, context.parameters.get("airflow"))
        return await self.act(context, _Call(context, airflow))

    @abstractmethod
    async def act(self, context: kinds.ActionContext, call: _Call) -> dict[str, Any]:
        """Carry out what this kind does."""


class TriggerDag(_AirflowAction):
    """Starts a run whose id is made from the action's: Airflow refuses a repeat, which then is done."""

    name = "trigger_dag"

    async def act(self, context: kinds.ActionContext, call: _Call) -> dict[str, Any]:
        """Start the run, or find that it was started."""
        run_id = "airside__" + re.sub(r"[^A-Za-z0-9_.~:+-]", "-", context.action_id)
        conf = context.texts.value(context.parameters.get("conf") or {})
        note = f"Airside: automation {context.automation}"[:1_000]
        body = {"dag_run_id": run_id, "logical_date": None, "conf": conf, "note": note}
        if (size := len(orjson.dumps(conf))) > _MAX_CONF_BYTES:
            raise ActionRefused(f"conf has {size:,} bytes; at most {_MAX_CONF_BYTES:,} are sent")
        reply = await call.request("POST", f"{call.path}/dagRuns", body)
        if reply.status == 409:
            reply = await call.request("GET", f"{call.path}/dagRuns/{quote(run_id, safe='')}")
            return call.done(reply, run_id=run_id, repeated=True)
        return call.done(reply, run_id=run_id)


class _SetPaused(_AirflowAction):
    is_paused = True

    async def act(self, context: kinds.ActionContext, call: _Call) -> dict[str, Any]:
        """Set it, whatever it was."""
        reply = await call.request("PATCH", f"{call.path}?update_mask=is_paused", {"is_paused": self.is_paused})
        return call.done(reply, is_paused=self.is_paused)


class PauseDag(_SetPaused):
    """Pauses a DAG."""

    name = "pause_dag"


class UnpauseDag(_SetPaused):
    """Lets a paused DAG go on."""

    name = "unpause_dag"
    is_paused = False


class ClearDagRun(_AirflowAction):
    """Has a run that ended done again; one that goes on is left alone, so that a repeat clears nothing twice."""

    name = "clear_dag_run"

    async def act(self, context: kinds.ActionContext, call: _Call) -> dict[str, Any]:
        """Clear the run unless it is queued or running."""
        run_id = call.text("run_id")
        path = f"{call.path}/dagRuns/{quote(run_id, safe='')}"
        reply = await call.request("GET", path)
        call.done(reply)
        try:
            found = orjson.loads(reply.body)
            state, note = str(found["state"]), str(found.get("note") or "")
        except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError) as error:
            raise ActionRetry("Airflow answered something that is no DAG run") from error
        mark = f"airside__{context.action_id}"
        if state in ("queued", "running") or mark in note:
            return {"dag": call.dag, "run_id": run_id, "state": state, "cleared": False}
        kept = f"{note[: 999 - len(mark)]}\n{mark}".strip()
        body = {"dry_run": False, "only_failed": bool(context.parameters.get("only_failed")), "note": kept}
        return call.done(await call.request("POST", f"{path}/clear", body), run_id=run_id, cleared=True)


def looked_up(environment: Mapping[str, str], name: object) -> _Airflow:
    """Give where the Airflow is that a rule names, and who asks there. Raises ActionRefused."""
    prefix = variable(_PREFIX, str(name)) if name is not None else _PREFIX
    url, user, password, token = (
        environment.get(f"{prefix}_{part}", "").strip() for part in ("URL", "USER", "PASSWORD", "TOKEN")
    )
    if not url:
        raise ActionRefused(f"no such Airflow: set {prefix}_URL, and {prefix}_TOKEN or {prefix}_USER and _PASSWORD")
    return _Airflow(url.rstrip("/"), user, password, token)


async def _ask(tools: kinds.Tools, method: str, url: str, body: bytes, token: str) -> Reply:
    headers = {"accept": "application/json"}
    if body:
        headers["content-type"] = "application/json"
    if token:
        headers["authorization"] = f"Bearer {token}"
    try:
        return await tools.client.request(method, url, headers=headers, body=body)
    except TargetRefused as error:
        raise ActionRefused(str(error)) from error
    except RequestFailed as error:
        raise ActionRetry(str(error)) from error


def _words(url: str, reply: Reply) -> str:
    words = reply.body[: _SHOWN_OF_REPLY * 4].decode(errors="replace")
    words = re.sub(r"[\x00-\x20\x7f]+", " ", words).strip()[:_SHOWN_OF_REPLY]
    return f"{shown(url)} answered {reply.status}" + (f": {words}" if words else "")
