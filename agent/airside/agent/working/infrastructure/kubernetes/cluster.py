"""The API server of a cluster: the one that the agent runs in, else that of the current context of KUBECONFIG."""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import orjson

from airside.agent.working.exceptions import CannotPrepare, NotHere

_ANSWER_SECONDS: Final = 30
_LOOK_SECONDS: Final = 5.0
_OWN_NAMESPACE: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
_MAX_TEXT: Final = 500
_UNKNOWN: Final = 401
Method = Callable[..., Awaitable[Any]]


class ClusterAway(NotHere):
    """The API server does not answer, or not now."""


class ClusterRefuses(CannotPrepare):
    """The API server understood and says no; `status` is its HTTP status."""

    def __init__(self, message: str, status: int) -> None:
        self.status = status
        super().__init__(message)


class Cluster:
    """The client of one API server, and the namespace that is meant when none is named."""

    def __init__(self, client: Any, api: Any, namespace: str) -> None:
        self.namespace = namespace
        self._client = client
        self.jobs = api.BatchV1Api(client)
        self.core = api.CoreV1Api(client)
        self.rights = api.AuthorizationV1Api(client)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()

    async def ask(self, method: Method, *arguments: Any, **more: Any) -> dict[str, Any]:
        """Ask for one document. Raises ClusterAway, ClusterRefuses."""
        async with self.opened(method, *arguments, _request_timeout=_ANSWER_SECONDS, **more) as response:
            found = orjson.loads(await response.read() or b"{}")
        return found if isinstance(found, dict) else {}

    @asynccontextmanager
    async def opened(self, method: Method, *arguments: Any, **more: Any) -> AsyncIterator[Any]:
        """Open an answer that is read as it comes. Raises ClusterAway, ClusterRefuses, also while it is read."""
        import aiohttp  # noqa: PLC0415 - the client's own transport
        from kubernetes_asyncio.client.exceptions import ApiException  # noqa: PLC0415

        response = None
        try:
            response = await method(*arguments, _preload_content=False, **more)
            if response.status >= 300:
                if response.status == _UNKNOWN:
                    await forget()  # what it was known by has run out: read anew
                raise _refusal(response.status, await response.read())
            yield response
        except ApiException as error:
            raise _refusal(int(error.status or 0), str(error.body or error.reason or "").encode()) from error
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError, RuntimeError) as error:
            text = str(error) or type(error).__name__
            raise ClusterAway(f"the Kubernetes API server does not answer: {text[:_MAX_TEXT]}") from error
        finally:
            if response is not None:
                response.close()


def _refusal(status: int, body: bytes) -> CannotPrepare:
    try:
        text = str(orjson.loads(body).get("message") or "")
    except (orjson.JSONDecodeError, AttributeError):
        text = body.decode(errors="replace")
    text = text.strip()[:_MAX_TEXT] or f"HTTP {status}"
    if status in (0, _UNKNOWN, 429) or status >= 500:
        return ClusterAway(f"the Kubernetes API server answers {status}: {text}")
    return ClusterRefuses(f"kubernetes: {text}", status)


_connected: dict[asyncio.AbstractEventLoop, Cluster] = {}


async def connect() -> Cluster:
    """Give the cluster of this machine. Raises NotHere when there is no way into one."""
    loop = asyncio.get_running_loop()
    if loop not in _connected:
        _connected[loop] = await _connect()
    return _connected[loop]


async def _connect() -> Cluster:
    try:
        from kubernetes_asyncio import client as api  # noqa: PLC0415 - not in the base install
        from kubernetes_asyncio import config  # noqa: PLC0415
    except ImportError as error:
        raise NotHere("jobs need the client of Kubernetes: pip install 'airside[kubernetes]'") from error
    settings = api.Configuration()
    try:
        if "KUBERNETES_SERVICE_HOST" in os.environ:
            config.load_incluster_config(client_configuration=settings)  # type: ignore[no-untyped-call]
            namespace = _OWN_NAMESPACE.read_text(encoding="utf-8").strip()
        elif not _has_config():
            raise NotHere("no way into a cluster: neither KUBECONFIG nor ~/.kube/config names one")
        else:
            await config.load_kube_config(client_configuration=settings)
            _, active = config.list_kube_config_contexts()
            namespace = (active or {}).get("context", {}).get("namespace") or "default"
    except NotHere:
        raise
    except Exception as error:
        raise NotHere(f"no way into a cluster: {str(error)[:_MAX_TEXT]}") from error
    return Cluster(api.ApiClient(settings), api, namespace)


def _has_config() -> bool:
    given = os.environ.get("KUBECONFIG") or "~/.kube/config"
    return any(Path(name).expanduser().is_file() for name in given.split(os.pathsep) if name)


async def forget() -> None:
    """Close the connections of this loop; the next to ask connects anew."""
    if (cluster := _connected.pop(asyncio.get_running_loop(), None)) is not None:
        await cluster.close()


async def works() -> str:
    """Say why no job can be started from here; empty: it can."""
    try:
        async with asyncio.timeout(_LOOK_SECONDS):
            cluster = await connect()
            asked = {"verb": "create", "group": "batch", "resource": "jobs", "namespace": cluster.namespace}
            body = {
                "apiVersion": "authorization.k8s.io/v1",
                "kind": "SelfSubjectAccessReview",
                "spec": {"resourceAttributes": asked},
            }
            found = await cluster.ask(cluster.rights.create_self_subject_access_review, body)
    except TimeoutError:
        return f"the Kubernetes API server has not answered for {_LOOK_SECONDS:g} s"
    except CannotPrepare as error:
        return str(error)
    if not (found.get("status") or {}).get("allowed"):
        return f"the agent may not create jobs in the namespace {cluster.namespace}: deploy/kubernetes has the role"
    return ""
