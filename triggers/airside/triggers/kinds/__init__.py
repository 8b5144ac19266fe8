"""The kinds of triggers. A new kind is a new module here, imported below so that it registers itself."""

from airside.triggers.kinds import absence_after, absence_by, absence_every, match
from airside.triggers.kinds.base import (
    Host,
    RunningTrigger,
    TriggerKind,
    TriggerSpec,
    kind_of,
    kinds,
    register,
)

__all__ = [
    "Host",
    "RunningTrigger",
    "TriggerKind",
    "TriggerSpec",
    "absence_after",
    "absence_by",
    "absence_every",
    "kind_of",
    "kinds",
    "match",
    "register",
]
