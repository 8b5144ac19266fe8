"""The scheduler: runs of schedules exist before their time comes, each once, however many coordinators there are."""

from airside.coordinator.scheduling.scheduler import Scheduler

__all__ = ["Scheduler"]
