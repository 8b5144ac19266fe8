"""What the state of a pod and of a job says. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from airside.agent.working.infrastructure.job import Ended, show
from airside.agent.working.infrastructure.kubernetes.manifest import CONTAINER

#: What a container waits for in good order.
_IN_ORDER: Final = frozenset({"ContainerCreating", "PodInitializing", ""})
_PLAIN: Final = frozenset({"Error", "Completed", ""})
#: Nothing becomes of these by waiting.
HOPELESS: Final = ("InvalidImageName", "ErrImageNeverPull")
_MAX_TEXT: Final = 500


@dataclass(frozen=True, slots=True)
class Look:
    """A pod as it was seen: whether its run has begun, what it waits for in trouble, how it ended."""

    name: str
    begun: bool = False
    trouble: str = ""
    ended: Ended | None = None
    #: Other containers of the pod go on.
    goes_on: bool = False


def look(pod: Mapping[str, Any]) -> Look:
    """Read a pod."""
    status = pod.get("status") or {}
    state = _state(status.get("containerStatuses") or (), CONTAINER)
    terminated, phase = state.get("terminated"), status.get("phase")
    name = str(pod["metadata"]["name"])
    if terminated is not None or phase in ("Failed", "Succeeded"):
        ended = _ended(pod, status, terminated, phase)
        return Look(name, begun=terminated is not None, ended=ended, goes_on=phase == "Running")
    return Look(name, begun="running" in state, trouble="" if "running" in state else _trouble(status))


def newest(pods: Iterable[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """Give the pod that was made last."""
    return max(pods, key=lambda pod: str(pod["metadata"].get("creationTimestamp") or ""), default=None)


def failed(job: Mapping[str, Any]) -> str | None:
    """Say why a job has failed as a whole; None when it has not ended. Empty when it completed."""
    for condition in _conditions(job.get("status") or {}):
        if condition.get("status") == "True" and condition.get("type") == "Failed":
            return _told(condition.get("reason"), condition.get("message")) or "Failed"
        if condition.get("status") == "True" and condition.get("type") == "Complete":
            return ""
    return None


def _ended(pod: Mapping[str, Any], status: Mapping[str, Any], terminated: Any, phase: Any) -> Ended:
    end = terminated or {}
    code = int(end["exitCode"]) if "exitCode" in end else None
    if code == 0 and phase != "Failed":
        return Ended(0)
    word = show(code) if code is not None else "its container has left no exit code"
    if end.get("reason") == "OOMKilled":
        limit = _memory(pod)
        whose = f"its limit of {limit} of memory" if limit else "the node's memory"
        return Ended(code, f"{whose} was reached (OOMKilled); {word}")
    if why := _told(status.get("reason"), status.get("message")) or _disrupted(status):
        return Ended(code, f"{why}; {word}")
    if (reason := str(end.get("reason") or "")) not in _PLAIN:
        return Ended(code, f"{_told(reason, end.get('message'))}; {word}")
    return Ended(code, "" if code else word)


def _trouble(status: Mapping[str, Any]) -> str:
    for statuses in (status.get("initContainerStatuses"), status.get("containerStatuses")):
        for one in statuses or ():
            waiting = (one.get("state") or {}).get("waiting") or {}
            if str(waiting.get("reason") or "") not in _IN_ORDER:
                return _told(waiting.get("reason"), waiting.get("message"))
    for condition in _conditions(status):
        if condition.get("type") == "PodScheduled" and condition.get("status") == "False":
            return _told(condition.get("reason"), condition.get("message"))
    return ""


def _disrupted(status: Mapping[str, Any]) -> str:
    for condition in _conditions(status):
        if condition.get("type") == "DisruptionTarget" and condition.get("status") == "True":
            return _told(condition.get("reason"), condition.get("message"))
    return ""


def _memory(pod: Mapping[str, Any]) -> str:
    for container in (pod.get("spec") or {}).get("containers") or ():
        if container.get("name") == CONTAINER:
            return str(((container.get("resources") or {}).get("limits") or {}).get("memory") or "")
    return ""


def _state(statuses: Sequence[Mapping[str, Any]], name: str) -> Mapping[str, Any]:
    return next((one.get("state") or {} for one in statuses if one.get("name") == name), {})


def _conditions(status: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    return status.get("conditions") or ()


def _told(reason: Any, message: Any) -> str:
    return ": ".join(str(part).strip() for part in (reason, message) if part)[:_MAX_TEXT]
