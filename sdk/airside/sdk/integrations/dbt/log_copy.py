"""dbt's log file as its user asked for it, made from the JSON lines that dbt wrote for us."""

import logging
from datetime import UTC, datetime
from logging.handlers import RotatingFileHandler
from typing import Any, Final

from airside.sdk.integrations.dbt.command import LogWishes

_LEVELS: Final = {"debug": 10, "test": 10, "info": 20, "warn": 30, "error": 40}
#: What a user's macro prints is written whatever the level.
_PRINTED: Final = frozenset({"PrintEvent", "ShowNode", "CompiledNode"})
_BACKUPS: Final = 5
_RESET: Final = "\x1b[0m"


class LogCopy:
    """Writes the file, rotated as dbt does. A disk that takes nothing is passed over, as it is by dbt."""

    def __init__(self, wishes: LogWishes) -> None:
        self._wishes = wishes
        self._least = _LEVELS.get(wishes.level, 10)
        self._file: RotatingFileHandler | None = None
        self._is_off = wishes.level == "none"

    def write(self, entry: dict[str, Any], line: str) -> None:
        """Take one line: as dbt wrote it, and decoded."""
        info = entry.get("info")
        if self._is_off or not isinstance(info, dict):
            return
        level = "error" if info.get("name") in _PRINTED else str(info.get("level"))
        if _LEVELS.get(level, 20) < self._least:
            return
        text = line if self._wishes.form == "json" else self._text(info)
        try:
            self._open().emit(logging.LogRecord("dbt", 20, "", 0, text, None, None))
        except OSError:
            self._is_off = True

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()

    def _open(self) -> RotatingFileHandler:
        if self._file is None:
            self._wishes.folder.mkdir(parents=True, exist_ok=True)
            path = self._wishes.folder / "dbt.log"
            self._file = _Quiet(path, encoding="utf-8", maxBytes=self._wishes.max_bytes, backupCount=_BACKUPS)
        return self._file

    def _text(self, info: dict[str, Any]) -> str:
        message, tag = str(info.get("msg", "")), _RESET if self._wishes.colours else ""
        time = _moment(info.get("ts"))
        if self._wishes.form == "text":
            return message if info.get("name") in _PRINTED else f"{tag}{time:%H:%M:%S}  {message}"
        head = ""
        if info.get("name") == "MainReportVersion":
            line = "=" * 30
            head = f"\n\n{line} {time:%H:%M:%S.%f} | {info.get('invocation_id')} {line}\n"
        thread = str(info.get("thread", ""))[:10].ljust(10)
        return f"{head}{tag}{time:%H:%M:%S.%f} [{info.get('level', ''):<5}] [{thread}]: {message}"


class _Quiet(RotatingFileHandler):
    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name
        """Say nothing: the terminal is dbt's."""


def _moment(text: object) -> datetime:
    try:
        return datetime.fromisoformat(str(text)).astimezone(UTC)
    except ValueError:
        return datetime.now(UTC)
