"""The inside of the tests' cluster: what its job controller and its one node do."""

import asyncio
import base64
import json
import os
import secrets
import signal
import sys
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.support.contained import Contained

_UNITS = {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30}


@dataclass
class Pod:
    """A pod and the process in its container."""

    document: dict[str, Any]
    held: Contained = field(default_factory=Contained)

    @property
    def name(self) -> str:
        return str(self.document["metadata"]["name"])


class Node:
    """Starts pods as processes, tells how they are, ends them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.images = {"flows:1"}
        self.schedulable = True
        self.jobs: dict[tuple[str, str], dict[str, Any]] = {}
        self.pods: dict[tuple[str, str], Pod] = {}
        self.secrets: dict[tuple[str, str], dict[str, Any]] = {}
        self.version = 1_000
        self.changes: list[tuple[int, str, dict[str, Any]]] = []
        #: The grace of each deletion of a pod, where one was given.
        self.graces: list[float | None] = []
        self.moved: asyncio.Condition

    async def make_pod(self, ns: str, job_name: str) -> None:
        job = self.jobs[ns, job_name]
        template = json.loads(json.dumps(job["spec"]["template"]))
        labels = {**template.get("metadata", {}).get("labels", {}), "job-name": job_name}
        about = {"name": f"{job_name}-{secrets.token_hex(3)[:5]}", "namespace": ns, "labels": labels}
        about |= {"uid": secrets.token_hex(8), "creationTimestamp": now()}
        pod = Pod({"apiVersion": "v1", "kind": "Pod", "metadata": about, "spec": template["spec"], "status": {}})
        self.pods[ns, pod.name] = pod
        await self._set(pod, "ADDED", phase="Pending")
        await self._kubelet(pod)

    async def _kubelet(self, pod: Pod) -> None:
        """Do what a node does for a pod, to its end."""
        spec = pod.document["spec"]["containers"][0]
        told = False
        while not self.schedulable:
            about = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}
            message = "0/3 nodes are available: 3 Insufficient memory."
            if not told:
                await self._set(pod, "MODIFIED", conditions=[about | {"message": message}])
            told = True
            await asyncio.sleep(0.05)
        while spec["image"] not in self.images:
            for reason in ("ErrImagePull", "ImagePullBackOff"):
                text = f'Back-off pulling image "{spec["image"]}"'
                await self._waits(pod, reason, text)
                await asyncio.sleep(0.1)
        while (missing := self._missing(pod, spec)) is not None:
            await self._waits(pod, "CreateContainerConfigError", f'secret "{missing}" not found')
            await asyncio.sleep(0.05)
        try:
            memory = (spec.get("resources", {}).get("limits") or {}).get("memory")
            command = [_expanded(word) for word in (*spec["command"], *spec.get("args", []))]
            await pod.held.start(command, self._environment(pod, spec), self.folder, _bytes(memory))
        except FileNotFoundError:
            text = f'exec: "{spec["command"][0]}": executable file not found in $PATH: unknown'
            await self._terminated(pod, 128, "StartError", f"failed to create containerd task: {text}")
            return
        await self._set(pod, "MODIFIED", phase="Running", state={"running": {"startedAt": now()}})
        code = await pod.held.ended()
        if pod.document["status"].get("phase") != "Failed":
            await self._terminated(pod, code, "OOMKilled" if pod.held.oom else "Error" if code else "Completed", "")

    async def _terminated(self, pod: Pod, code: int, reason: str, message: str) -> None:
        state: dict[str, Any] = {"exitCode": code, "reason": reason, **({"message": message} if message else {})}
        await self._set(pod, "MODIFIED", phase="Failed" if code else "Succeeded", state={"terminated": state})
        job = self.jobs.get((pod.document["metadata"]["namespace"], pod.document["metadata"]["labels"]["job-name"]))
        if job is not None:
            failed = {"type": "Failed", "status": "True", "reason": "BackoffLimitExceeded"}
            failed["message"] = "Job has reached the specified backoff limit"
            job["status"] = {"conditions": [failed if code else {"type": "Complete", "status": "True"}]}

    async def evict_pod(self, pod: Pod) -> None:
        text = "The node was low on resource: memory."
        await self._set(pod, "MODIFIED", phase="Failed", reason="Evicted", message=text)
        await pod.held.signal(signal.SIGKILL)
        await pod.held.ended()
        await self._terminated(pod, 137, "Error", "")

    async def _waits(self, pod: Pod, reason: str, message: str) -> None:
        await self._set(pod, "MODIFIED", state={"waiting": {"reason": reason, "message": message}})

    async def delete_pod(self, pod: Pod, grace: float | None) -> None:
        self.graces.append(grace)
        patience = pod.document["spec"].get("terminationGracePeriodSeconds", 30) if grace is None else grace
        pod.document["metadata"]["deletionTimestamp"] = now()
        await self._set(pod, "MODIFIED")
        if pod.held.runs:
            await pod.held.signal(signal.SIGTERM)
            try:
                async with asyncio.timeout(patience):
                    await pod.held.ended()
            except TimeoutError:
                await pod.held.signal(signal.SIGKILL)
                await pod.held.ended()
        await asyncio.sleep(0.1)
        if self.pods.pop((pod.document["metadata"]["namespace"], pod.name), None) is not None:
            await self._set(pod, "DELETED")

    async def _set(self, pod: Pod, kind: str, *, state: dict[str, Any] | None = None, **status: Any) -> None:
        async with self.moved:
            self.version += 1
            pod.document["metadata"]["resourceVersion"] = str(self.version)
            if state is not None:
                about = {
                    "name": pod.document["spec"]["containers"][0]["name"],
                    "state": state,
                    "ready": "running" in state,
                }
                status["containerStatuses"] = [about]
            pod.document["status"] |= status
            self.changes.append((self.version, kind, json.loads(json.dumps(pod.document))))
            self.moved.notify_all()

    def _missing(self, pod: Pod, spec: dict[str, Any]) -> str | None:
        names = [entry["valueFrom"]["secretKeyRef"]["name"] for entry in spec.get("env", []) if "valueFrom" in entry]
        ns = pod.document["metadata"]["namespace"]
        return next((name for name in names if (ns, name) not in self.secrets), None)

    def _environment(self, pod: Pod, spec: dict[str, Any]) -> dict[str, str]:
        ns = pod.document["metadata"]["namespace"]
        made = {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "HOME": "/tmp", "KUBERNETES_PORT": "x"}
        for entry in spec.get("env", []):
            if "valueFrom" in entry:
                key = entry["valueFrom"]["secretKeyRef"]
                made[entry["name"]] = base64.b64decode(self.secrets[ns, key["name"]]["data"][key["key"]]).decode()
            else:
                made[entry["name"]] = _expanded(entry["value"])
        return made


def _expanded(text: str) -> str:
    """Write what the kubelet makes of `$$`, where no variable is named."""
    return text.replace("$$", "$")


def _bytes(text: Any) -> int | None:
    return None if text is None else int(text[:-2]) * _UNITS[text[-2:]]


def now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
