"""The kinds of triggers. A new kind is a new module here, imported below so that it registers itself."""

from airside.triggers.kinds import (
    absence_after,
    absence_by,
    absence_every,
    bucket_fewer_than,
    bucket_reaches,
    conditions,
    match,
    metric,
    query,
    sequence,
)
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
    "bucket_fewer_than",
    "bucket_reaches",
    "conditions",
    "kind_of",
    "kinds",
    "match",
    "metric",
    "query",
    "register",
    "sequence",
]
