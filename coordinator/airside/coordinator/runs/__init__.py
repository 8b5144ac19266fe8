"""Runs of flows as everybody may change them: proposals, commands, and the watch over those that fall silent."""

from airside.coordinator.runs.commands import Commands, Who
from airside.coordinator.runs.desk import Desk
from airside.coordinator.runs.exceptions import AnswerRefused, NoDeployment, NoSuchRun, RunChanged
from airside.coordinator.runs.lost_tasks import LostTasks
from airside.coordinator.runs.present import Present
from airside.coordinator.runs.proposals import Accepted, Proposals
from airside.coordinator.runs.watch import RunWatch

__all__ = [
    "Accepted",
    "AnswerRefused",
    "Commands",
    "Desk",
    "LostTasks",
    "NoDeployment",
    "NoSuchRun",
    "Present",
    "Proposals",
    "RunChanged",
    "RunWatch",
    "Who",
]
