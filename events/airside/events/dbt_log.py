"""dbt's log, line by line, into the events that its artifacts would give: live, and with the same ids.

Any dbt that writes JSON lines will do (`--log-format json` or `--log-format-file json`). With debug lines
(`--log-level-file debug`) a node's message and row counts are known at once; without them what the info lines tell.
"""

import re
import signal
from collections import Counter
from typing import Any, Final

import orjson

from airside.events import dbt, foreign, validation, wire
from airside.events.exceptions import InvalidEvent
from airside.events.limits import DEFAULT_LIMITS, Limits

MAX_LINE_CHARS: Final = 1_000_000  # no line that says something is longer
#: Info lines about the end of a node; debug has one line, NodeFinished, for all of them.
_RESULTS: Final = frozenset(
    {
        "LogModelResult",
        "LogTestResult",
        "LogSeedResult",
        "LogSnapshotResult",
        "LogFreshnessResult",
        "LogFunctionResult",
        "LogNodeNoOpResult",
        "LogNodeResult",
        "SkippingDetails",
    }
)
_STARTS: Final = frozenset({"NodeStart", "LogStartLine"})
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")

_Json = dict[str, Any]


class LogReader:
    """Reads the log of one dbt command. Set `manifest` as soon as dbt has written it: it adds lineage and owners."""

    def __init__(self, project: str | None = None, manifest: object = None, limits: Limits = DEFAULT_LIMITS) -> None:
        """Begin before the first line. Without `project` its name is taken from the manifest or the first node."""
        self.manifest = manifest
        #: The invocation that is read, once a line has named it.
        self.invocation_id: str | None = None
        self._project = project
        self._limits = limits
        self._metadata: _Json = {}
        self._begun: str | None = None
        self._detailed = False
        self._statuses: dict[str, str] = {}
        self._sources: dict[str, _Json] = {}
        self._ended: _Json = {}
        self._told: set[str] = set()

    def feed(self, line: str | bytes) -> list[wire.WireEvent]:
        """Take one line and give the events that follow from it; none for what is no JSON line of this command."""
        if len(line) > MAX_LINE_CHARS:
            return []
        try:
            entry = orjson.loads(line)
        except orjson.JSONDecodeError:
            return []
        info, data = (entry.get("info"), entry.get("data")) if isinstance(entry, dict) else (None, None)
        if not isinstance(info, dict) or not isinstance(data, dict) or not self._is_ours(info):
            return []
        return self._accept(self._read(info, data))

    def finish(self, exit_code: int | None = None, sources: object = None) -> list[wire.WireEvent]:
        """Give what is left to tell once dbt has ended: how the command went, and how fresh its sources are.

        A negative `exit_code` is the signal that killed dbt. Nodes that it was busy with then are told as crashed.
        Sources wait for `sources`, the sources.json of this command, which knows more than the log does; without it
        the log must do. Raises InvalidEvent when that file is none.
        """
        if self.invocation_id is None:
            return []
        events = self._begin()
        theirs = sources.get("metadata") if isinstance(sources, dict) else None
        if isinstance(theirs, dict) and theirs.get("invocation_id") == self.invocation_id:
            told = dbt.parse_sources(sources, self.manifest, self._limits, all_selected=False)
            known = [event for event in told if event.type.startswith("dbt.source.")]
            self._sources = {name: held for name, held in self._sources.items() if not self._is_told(name, known)}
            found = self._new(known)
        else:
            found = []
        for held in self._sources.values():
            events += self._node_events(held)
        if exit_code:
            events += self._lost_nodes()
        success = self._ended.get("success") if exit_code is None else exit_code == 0
        counts = Counter(self._statuses.values())
        facts = {
            "dbt_version": self._metadata.get("dbt_version"),
            "command": self._ended.get("command"),
            "elapsed_seconds": self._ended.get("elapsed"),
            "success": success if isinstance(success, bool) else not dbt.FAILED & counts.keys(),
            "exit_code": exit_code,
            "signal": _signal(exit_code),
            "nodes": dict(counts),
            "started_at": self._begun,
        }
        time = self._ended.get("completed_at") or self._metadata["generated_at"]
        events.append(dbt.invocation_completed(self._metadata, self._name(), time, facts, self._limits))
        return found + self._accept(events)

    def _is_ours(self, info: _Json) -> bool:
        """Tell whether the line is of the command that the first line was of; note what each line knows."""
        invocation, time = info.get("invocation_id"), foreign.iso(info.get("ts"))
        if not isinstance(invocation, str) or not invocation or time is None:
            return False
        self.invocation_id = self.invocation_id or invocation
        if invocation != self.invocation_id:
            return False
        self._begun = self._begun or time
        self._metadata |= {"invocation_id": invocation, "generated_at": time}
        return True

    def _read(self, info: _Json, data: _Json) -> list[_Json]:
        name = info.get("name")
        if name == "MainReportVersion":
            version = data.get("version")
            self._metadata["dbt_version"] = version.lstrip("=") if isinstance(version, str) else None
            return self._begin() if self._project else []
        if name == "CommandCompleted":
            self._ended = _ended(info, data)
            return []
        node = data.get("node_info")
        unique_id = node.get("unique_id") if isinstance(node, dict) else None
        if not isinstance(node, dict) or not isinstance(unique_id, str) or unique_id.count(".") < 2:
            return []
        self._detailed |= name == "NodeStart"
        if name in _STARTS:
            self._statuses.setdefault(unique_id, "started")
            if name == "NodeStart":  # also of a node that is then skipped: artifacts know no start of it
                return self._begin()
            time = foreign.iso(node.get("node_started_at")) or self._metadata["generated_at"]
            known = self._node(unique_id, node)
            return [*self._begin(), dbt.node_started(unique_id, self._metadata, known, time, self._limits)]
        if name == "NodeFinished" or (name in _RESULTS and not self._detailed):
            return self._finished(unique_id, node, info, data)
        return []

    def _finished(self, unique_id: str, node: _Json, info: _Json, data: _Json) -> list[_Json]:
        run_result = data.get("run_result")
        detail: _Json = run_result if isinstance(run_result, dict) else {}
        status = next(
            (
                status
                for status in (detail.get("status"), node.get("node_status"))
                if isinstance(status, str) and status and status not in ("None", "started", "compiling", "executing")
            ),
            None,
        )
        if status is None:
            return []
        relation = node.get("node_relation")
        message = detail.get("message")
        if message is None and not detail and status.lower() in dbt.FAILED:
            message = _COLOURS.sub("", str(info.get("msg") or ""))
        ended = foreign.iso(node.get("node_finished_at"))
        phase = {"name": "node", "completed_at": ended}
        if status != "skipped":  # not every kind of node has a line for its start
            phase["started_at"] = foreign.iso(node.get("node_started_at"))
        result = {
            "unique_id": unique_id,
            "status": status,
            "message": message,
            "failures": detail.get("num_failures", data.get("num_failures")),
            "execution_time": detail.get("execution_time", data.get("execution_time")),
            "adapter_response": detail.get("adapter_response"),
            "timing": detail.get("timing_info") or ([phase] if ended else []),
            "relation_name": relation.get("relation_name") if isinstance(relation, dict) else None,
            "node_info": node,
        }
        self._statuses[unique_id] = status.lower()
        if unique_id.startswith("source."):
            self._sources[unique_id] = result
            return self._begin()
        return [*self._begin(), *self._node_events(result)]

    def _node_events(self, result: _Json) -> list[_Json]:
        known = self._node(result["unique_id"], result["node_info"])
        return list(dbt.node_events(result, self._metadata, known, self._limits))

    def _lost_nodes(self) -> list[_Json]:
        """Tell of the nodes that began and of whose end dbt did not come to speak."""
        lost = [unique_id for unique_id, status in self._statuses.items() if status == "started"]
        self._statuses |= dict.fromkeys(lost, "crashed")
        return [
            event
            for unique_id in lost
            for event in dbt.node_events(
                {"unique_id": unique_id, "status": "crashed"}, self._metadata, self._node(unique_id, {}), self._limits
            )
        ]

    def _node(self, unique_id: str, node_info: _Json) -> _Json:
        """Look the node up in the manifest; without one, take what the line says of it."""
        known = dbt.node_of(self.manifest, unique_id)
        if known.keys() > {"parents"}:
            return known
        return known | {"meta": node_info.get("meta"), "config": {"materialized": node_info.get("materialized")}}

    def _begin(self) -> list[_Json]:
        return [dbt.invocation_started(self._metadata, self._name(), self._begun, self._limits)]

    def _name(self) -> str:
        return self._project or dbt.project_of(self.manifest, list(self._statuses)[:1])

    def _is_told(self, unique_id: str, events: list[wire.WireEvent]) -> bool:
        resource = dbt.node_id(unique_id)
        return any(event.resource.id == resource and not event.type.endswith(".started") for event in events)

    def _accept(self, events: list[_Json]) -> list[wire.WireEvent]:
        """Make events of what was not told yet. A node that cannot be one is passed over: dbt goes on regardless."""
        found: list[wire.WireEvent] = []
        for event in events:
            if event["id"] not in self._told:
                try:
                    found.append(validation.parse_object(event, self._limits))
                except InvalidEvent:
                    continue
        return self._new(found)

    def _new(self, events: list[wire.WireEvent]) -> list[wire.WireEvent]:
        found = [event for event in events if event.id not in self._told]
        self._told |= {event.id for event in found}
        return found


def _signal(exit_code: int | None) -> str | None:
    """Name the signal that a negative exit code stands for."""
    if exit_code is None or exit_code >= 0:
        return None
    try:
        return signal.Signals(-exit_code).name
    except ValueError:
        return str(-exit_code)


def _ended(info: _Json, data: _Json) -> _Json:
    """Read the last line of a command. Older versions say only in words whether it went well."""
    success = data.get("success")
    if not isinstance(success, bool):
        success = " succeeded at " in str(info.get("msg"))
    command = data.get("command")
    words = command.split() if isinstance(command, str) else []
    elapsed = data.get("elapsed")
    return {
        "success": success,
        "command": next((word for word in words if word not in ("dbt", "cli")), None),
        "elapsed": elapsed if isinstance(elapsed, int | float) else None,
        "completed_at": foreign.iso(data.get("completed_at")),
    }
