"""One job, from its start to its end."""

import asyncio
import contextlib
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

from airside.agent.working.exceptions import CannotPrepare, NotHere
from airside.agent.working.infrastructure.job import Ended, Found, Job
from airside.agent.working.infrastructure.kubernetes import cluster as clusters
from airside.agent.working.infrastructure.kubernetes import manifest, pods
from airside.agent.working.infrastructure.kubernetes.cluster import ClusterAway, ClusterRefuses
from airside.agent.working.infrastructure.kubernetes.logs import Follower
from airside.agent.working.infrastructure.kubernetes.pods import Look
from airside.events import durations, infrastructure

_AGAIN_SECONDS: Final = 1.0
#: Looked at so often although nothing is told; and so long a watch lasts.
_WATCH_SECONDS: Final = 15
_LAST_LINES_SECONDS: Final = 10.0
_GONE: Final = 404
_CONFLICT: Final = 409
_ENDING_SECONDS: Final = 60.0
_STRICT: Final = "Strict"  # an unknown field is refused with its name, not dropped
Say = Callable[[str, str], object]


class KubernetesJob:
    """A job that was started, by this agent or by one that is gone."""

    def __init__(self, namespace: str, name: str, run: str, say: Say, *, start_seconds: float, since: str = "") -> None:
        self._namespace = namespace
        self._name = name
        self._selector = f"{manifest.RUN}={run}"
        self._say = say
        self._start_seconds = start_seconds
        self._since = since
        self._told: set[str] = set()
        self._begun = False

    async def ended(self) -> Ended:
        """Wait for its end, telling what its pod prints and why it does not begin."""
        follower: Follower | None = None
        until = time.monotonic() + self._start_seconds
        while True:
            try:
                seen, version = await self._look()
                if seen is not None and (seen.begun or seen.ended) and follower is None:
                    follower = Follower(self._namespace, seen.name, self._say, self._since)
                self._begun = self._begun or follower is not None
                ended = seen.ended if seen is not None else await self._without_pod()
                if ended is None and not self._begun:
                    ended = await self._not_begun(seen, until)
                if ended is not None:
                    break
                await self._change(version)
            except ClusterAway as error:
                self._tell(str(error))
                await asyncio.sleep(_AGAIN_SECONDS)
        if follower is not None:
            await follower.finish(_LAST_LINES_SECONDS)
        await self._clean(whole=seen is not None and seen.goes_on)
        return ended

    async def stop(self) -> None:
        """Delete the job: its pod gets SIGTERM, and SIGKILL after its grace."""
        await self._try(lambda it: (it.jobs.delete_namespaced_job, {"propagation_policy": "Foreground"}), self._name)

    async def kill(self) -> None:
        """End the pod at once; not so that the API forgets it while it may run on."""
        with contextlib.suppress(NotHere, CannotPrepare):
            for pod in (await self._pods())["items"]:
                name = str(pod["metadata"]["name"])
                await self._try(lambda it: (it.core.delete_namespaced_pod, {"grace_period_seconds": 1}), name)
        await self.stop()

    async def _try(self, what: Callable[[Any], tuple[Any, dict[str, Any]]], name: str) -> None:
        """Ask for something that may be done already."""
        try:
            cluster = await clusters.connect()
            method, more = what(cluster)
            await cluster.ask(method, name, self._namespace, **more)
        except ClusterRefuses as error:
            if error.status not in (_GONE, _CONFLICT):
                self._say("agent", str(error))
        except NotHere as error:
            self._say("agent", str(error))

    async def _pods(self) -> dict[str, Any]:
        cluster = await clusters.connect()
        return await cluster.ask(cluster.core.list_namespaced_pod, self._namespace, label_selector=self._selector)

    async def _look(self) -> tuple[Look | None, str]:
        """See how its pod is, and as of which version of the cluster."""
        found = await self._pods()
        pod = pods.newest(found.get("items") or ())
        seen = pods.look(pod) if pod is not None else None
        if seen is not None:
            self._tell(seen.trouble)
        return seen, str(found["metadata"]["resourceVersion"])

    async def _without_pod(self) -> Ended | None:
        """See whether the job ended and left no pod that says how."""
        cluster = await clusters.connect()
        try:
            job = await cluster.ask(cluster.jobs.read_namespaced_job, self._name, self._namespace)
        except ClusterRefuses as error:
            return Ended(None, "its job was deleted" if error.status == _GONE else str(error))
        if (why := pods.failed(job)) is None:
            return None
        return Ended(None, f"its pod is gone; {why}" if why else "its pod is gone")

    async def _not_begun(self, seen: Look | None, until: float) -> Ended | None:
        """Give up on a pod that does not begin: nothing must run later of what is called ended."""
        trouble = (seen.trouble if seen is not None else "") or await self._told_of_job(seen)
        if not trouble.startswith(pods.HOPELESS) and time.monotonic() < until:
            return None
        await self.stop()
        if trouble.startswith(pods.HOPELESS):
            return Ended(None, trouble)
        why = trouble or "nobody says why"
        return Ended(None, f"its pod has not begun within {self._start_seconds:g} s (start_timeout): {why}")

    async def _told_of_job(self, seen: Look | None) -> str:
        """Read why the job has no pod, as a quota that is used up: its events say so."""
        if seen is not None:
            return ""
        cluster = await clusters.connect()
        try:
            found = await cluster.ask(
                cluster.core.list_namespaced_event,
                self._namespace,
                field_selector=f"involvedObject.kind=Job,involvedObject.name={self._name},type=Warning",
            )
        except ClusterRefuses:
            return ""
        told = [f"{event.get('reason')}: {event.get('message')}" for event in found.get("items") or ()]
        self._tell(told[-1] if told else "")
        return told[-1] if told else ""

    async def _change(self, version: str) -> None:
        """Wait until something of the pod changes, for so long at most."""
        cluster = await clusters.connect()
        more = {"label_selector": self._selector, "resource_version": version, "timeout_seconds": _WATCH_SECONDS}
        try:
            async with cluster.opened(
                cluster.core.list_namespaced_pod,
                self._namespace,
                watch=True,
                _request_timeout=2 * _WATCH_SECONDS,
                **more,
            ) as response:
                await response.content.readline()
        except ClusterRefuses:  # the version is forgotten
            await asyncio.sleep(_AGAIN_SECONDS)

    async def _clean(self, *, whole: bool) -> None:
        """Take back the secret; and the job, where other containers of its pod would keep it going."""
        await self._try(lambda it: (it.core.delete_namespaced_secret, {}), self._name)
        if whole:
            await self.stop()

    def _tell(self, trouble: str) -> None:
        """Say each trouble once until it is over: a pull that is tried again has two texts by turns."""
        if not trouble:
            self._told.clear()
        elif trouble not in self._told:
            self._told.add(trouble)
            self._say("agent", trouble)


async def start(job: Job, settings: infrastructure.Kubernetes) -> KubernetesJob:
    """Start the run's job, once: one that this claim has made is found again. Raises CannotPrepare."""
    cluster = await clusters.connect()
    namespace = settings.namespace or cluster.namespace
    body, secret = manifest.build(job, settings)
    name = str(body["metadata"]["name"])
    seconds = settings.start_timeout / durations.SECOND
    made = KubernetesJob(namespace, name, job.claim.run, job.say, start_seconds=seconds)
    try:
        await _alone(namespace, name, job)
        if secret is not None:
            await _put_secret(namespace, secret)
        created = await _created(namespace, body, job)
        if secret is not None:
            await _own(namespace, name, str(created["metadata"]["uid"]))
    except BaseException:
        await asyncio.shield(_undo(made))
        raise
    return made


async def find(plane: Mapping[str, str]) -> list[Found]:
    """Give the jobs of this server's runs in the agent's own namespace, whoever started them."""
    cluster = await clusters.connect()
    wanted = f"{manifest.PLANE}={manifest.plane_of(plane)}"
    listed = await cluster.ask(cluster.jobs.list_namespaced_job, cluster.namespace, label_selector=wanted)
    return [found for job in listed.get("items") or () if (found := _found(job, cluster.namespace)) is not None]


def _found(job: Mapping[str, Any], namespace: str) -> Found | None:
    about = job["metadata"]
    told = {key.removeprefix("airside-"): text for key, text in (about.get("annotations") or {}).items()}
    if "claim" not in told or about.get("deletionTimestamp"):
        return None

    def taken(say: Say, since: str) -> KubernetesJob:
        return KubernetesJob(namespace, about["name"], told["run"], say, start_seconds=600.0, since=since)

    async def removed() -> None:
        if pods.failed(job) is None:
            await taken(lambda *_: None, "").kill()

    return Found.of("kubernetes", told, taken, removed)


async def _alone(namespace: str, name: str, job: Job) -> None:
    """See that no job of an earlier claim of this run goes on; what it started is waited for."""
    cluster = await clusters.connect()
    until = time.monotonic() + _ENDING_SECONDS
    told = False
    while True:
        try:
            there = await cluster.ask(cluster.jobs.read_namespaced_job, name, namespace)
        except ClusterRefuses as error:
            if error.status == _GONE:
                return
            raise
        if _claim_of(there) == job.claim.token and not there["metadata"].get("deletionTimestamp"):
            return
        if not told:
            job.say("agent", "ending the job of an earlier claim of this run")
            told = True
            await KubernetesJob(namespace, name, job.claim.run, job.say, start_seconds=0.0).kill()
        if time.monotonic() > until:
            raise NotHere(f"the job {name} of an earlier claim does not end")
        await asyncio.sleep(_AGAIN_SECONDS)


async def _created(namespace: str, body: dict[str, Any], job: Job) -> dict[str, Any]:
    cluster = await clusters.connect()
    try:
        return await cluster.ask(cluster.jobs.create_namespaced_job, namespace, body, field_validation=_STRICT)
    except ClusterRefuses as error:
        if error.status != _CONFLICT:
            raise
    there = await cluster.ask(cluster.jobs.read_namespaced_job, body["metadata"]["name"], namespace)
    if _claim_of(there) != job.claim.token:
        raise NotHere(f"another agent has just started a job of the run {job.claim.run}")
    return there


async def _put_secret(namespace: str, secret: dict[str, Any]) -> None:
    cluster = await clusters.connect()
    try:
        await cluster.ask(cluster.core.create_namespaced_secret, namespace, secret)
    except ClusterRefuses as error:
        if error.status != _CONFLICT:
            raise
        await cluster.ask(cluster.core.replace_namespaced_secret, secret["metadata"]["name"], namespace, secret)


async def _own(namespace: str, name: str, uid: str) -> None:
    """Let the secret go with the job, however that goes."""
    cluster = await clusters.connect()
    owner = {"apiVersion": "batch/v1", "kind": "Job", "name": name, "uid": uid}
    body = {"metadata": {"ownerReferences": [owner]}}
    await cluster.ask(cluster.core.patch_namespaced_secret, name, namespace, body)


async def _undo(made: KubernetesJob) -> None:
    with contextlib.suppress(NotHere, CannotPrepare):
        await made.stop()
        await made._clean(whole=False)


def _claim_of(job: Mapping[str, Any]) -> Any:
    return (job["metadata"].get("annotations") or {}).get(manifest.CLAIM)
