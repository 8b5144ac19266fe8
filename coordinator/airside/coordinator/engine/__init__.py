"""The trigger engine at work: it reads the log, moves its clock, writes firings once, and remembers where it was."""

from airside.coordinator.engine.runner import EngineRunner

__all__ = ["EngineRunner"]
