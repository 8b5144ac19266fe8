"""A run as a job of a Kubernetes cluster, by the client `kubernetes-asyncio`.

That client is there already, for the watcher of a cluster's Events; it is imported when a job is first asked for.

cluster   the API server: asked, with its refusals as our errors
manifest  the job and its secret, as they are sent. Pure
pods      what the state of a pod says. Pure
job       one job, from its start to its end
"""

from airside.agent.working.infrastructure.kubernetes.cluster import forget, works
from airside.agent.working.infrastructure.kubernetes.job import find, start

__all__ = ["find", "forget", "start", "works"]
