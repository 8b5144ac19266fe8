"""Deployments and queues as the log says they are.

book    what they are now, folded from what the plane wrote about them
reading following those entries of the log
store   writing them
"""

from airside.coordinator.deployments.book import Book, Held, Queue
from airside.coordinator.deployments.reading import BookReader
from airside.coordinator.deployments.store import DeploymentStore, NoSuchDeployment

__all__ = ["Book", "BookReader", "DeploymentStore", "Held", "NoSuchDeployment", "Queue"]
