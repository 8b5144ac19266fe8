"""The kinds of triggers. A new kind is a new module here, imported below so that it registers itself."""

from airside.triggers.kinds import absence_after, absence_by, absence_every, conditions, match, metric, sequence
from airside.triggers.kinds.base import (
    Host,
    RunningTrigger,
    TriggerKind,
    TriggerSpec,
    kind_of,
    kinds,
    register,
)
from airside.triggers.kinds.written import AnyTrigger

__all__ = [
    "AnyTrigger",
    "Host",
    "RunningTrigger",
    "TriggerKind",
    "TriggerSpec",
    "absence_after",
    "absence_by",
    "absence_every",
    "conditions",
    "kind_of",
    "kinds",
    "match",
    "metric",
    "register",
    "sequence",
]
