"""What users import, and the `airside` command.

Names are imported when they are first used, so that `import airside.sdk` costs a job nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airside.sdk.emitting.api import aemit, emit, emit_stats, flush
    from airside.sdk.emitting.heartbeat import heartbeat

__all__ = ["aemit", "emit", "emit_stats", "flush", "heartbeat"]

_WHERE = {
    "aemit": "airside.sdk.emitting.api",
    "emit": "airside.sdk.emitting.api",
    "emit_stats": "airside.sdk.emitting.api",
    "flush": "airside.sdk.emitting.api",
    "heartbeat": "airside.sdk.emitting.heartbeat",
}


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = getattr(import_module(_WHERE[name]), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
