"""Where the API asks about deployments, queues and work."""

from airside.coordinator.deployments.again import Again
from airside.coordinator.deployments.book import Book
from airside.coordinator.deployments.starting import Starter
from airside.coordinator.deployments.store import DeploymentStore
from airside.coordinator.work.stream import WorkStream


class DeploymentDesk:
    """What is known of deployments, and what changes them."""

    def __init__(self, book: Book, store: DeploymentStore, starter: Starter, work: WorkStream, *, again: Again) -> None:
        self.book = book
        self.store = store
        self.starter = starter
        self.work = work
        self.again = again
