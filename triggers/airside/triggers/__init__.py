"""What it means: the rule language and the engine. Pure: no IO, no clock, no broker, no database."""

from airside.triggers.actions import Action
from airside.triggers.document import Document, parse_file
from airside.triggers.engine import Engine
from airside.triggers.exceptions import (
    InvalidDocument,
    PositionGap,
    Problem,
    StateRefused,
    TriggersError,
)
from airside.triggers.firing import Firing
from airside.triggers.model import Automation, Installed
from airside.triggers.schema import json_schema
from airside.triggers.snapshot import ENGINE_VERSION

__all__ = [
    "ENGINE_VERSION",
    "Action",
    "Automation",
    "Document",
    "Engine",
    "Firing",
    "Installed",
    "InvalidDocument",
    "PositionGap",
    "Problem",
    "StateRefused",
    "TriggersError",
    "json_schema",
    "parse_file",
]
