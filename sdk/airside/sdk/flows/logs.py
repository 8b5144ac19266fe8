"""Log lines of runs: to the console, and in batches to the server. Nothing here blocks or fails the code that logs.

AIRSIDE_LOG_LEVEL     from which level on (default INFO)
AIRSIDE_LOG_LOGGERS   names of loggers whose lines go with the run in which they are written; `root` for all
AIRSIDE_LOG_SHIP      `false` keeps all lines on this machine
AIRSIDE_LOG_CONSOLE   `false` writes none to stderr; an agent says so, which sends what its runs print by itself
"""

import logging
import os
import sys
import threading
from collections.abc import MutableMapping
from typing import Any, Final

from airside.sdk.flows import context, log_outbox

#: The logger above those of flows and tasks: handlers and levels may be set on it as on any other.
RUNS: Final = "airside.runs"
_FLOW, _TASK, _PRINTS = f"{RUNS}.flow", f"{RUNS}.task", f"{RUNS}.prints"
_IDS: Final = ("flow_run_id", "flow_run_name", "task_run_id", "task_run_name")


class RunLogger(logging.LoggerAdapter[logging.Logger]):
    """A standard logger whose records say which run they are of: `flow_run_id`, `task_run_name` and so on."""

    def process(self, msg: Any, kwargs: MutableMapping[str, Any]) -> tuple[Any, MutableMapping[str, Any]]:
        """Add the run's ids to a record, beside what the caller adds."""
        kwargs["extra"] = {**(self.extra or {}), **(kwargs.get("extra") or {})}
        return msg, kwargs


def get_run_logger() -> RunLogger:
    """Give the logger of the innermost run that this code belongs to. Raises NoRun outside of any."""
    found = context.current_run()
    if found is None:
        raise context.NoRun("there is no run here; outside of flows and tasks use logging.getLogger")
    set_up()
    return RunLogger(logging.getLogger(_TASK if context.task_context.get() else _FLOW), _present())


def printed(line: str) -> None:
    """Take a line that a run with `log_prints` has printed."""
    set_up()
    logging.getLogger(_PRINTS).info("%s", line, extra={**_present(), "printed": True})


def set_up() -> None:
    """Attach the handlers, once, and again when the settings in the environment have changed."""
    settings = tuple(os.environ.get(name) for name in _SETTINGS)
    if settings == _set.get("for") or _set.get("forwarding"):
        return
    with _lock:
        if settings != _set.get("for"):
            _attach(*settings)
            _set["for"] = settings


def forward(handler: logging.Handler) -> None:
    """Give all records to `handler` from now on: in a process that works for a flow's process elsewhere."""
    if _set.get("forwarding"):
        return
    with _lock:
        _set["forwarding"] = True
        for logger, attached in _set.pop("handlers", ()):
            logger.removeHandler(attached)
        logging.getLogger(RUNS).setLevel(_level(os.environ.get("AIRSIDE_LOG_LEVEL")))
        logging.getLogger().addHandler(handler)


_SETTINGS: Final = (
    "AIRSIDE_LOG_LEVEL",
    "AIRSIDE_LOG_LOGGERS",
    "AIRSIDE_LOG_SHIP",
    "AIRSIDE_URL",
    "AIRSIDE_LOG_CONSOLE",
)
_set: dict[str, Any] = {}
_lock = threading.Lock()


def _attach(level: str | None, loggers: str | None, ship: str | None, _url: str | None, console: str | None) -> None:
    number = _level(level)
    ours = logging.getLogger(RUNS)
    if ours.level == logging.NOTSET or ours.level == _set.get("level"):
        ours.setLevel(number)
        _set["level"] = number
    for logger, handler in _set.get("handlers", ()):
        logger.removeHandler(handler)
    made: list[tuple[logging.Logger, logging.Handler]] = [(ours, _Console())] if log_outbox.is_on(console) else []
    if log_outbox.is_on(ship):
        captured = [logging.getLogger(None if name == "root" else name) for name in _names(loggers)]
        if logging.getLogger() in captured:
            captured = [logging.getLogger()]  # what it hears includes the others, and ours
        else:
            captured.append(ours)
        made += [(logger, _Shipping(number)) for logger in captured]
        for logger in captured:
            if level and logger.level == logging.NOTSET:
                logger.setLevel(number)
    for logger, handler in made:
        logger.addHandler(handler)
    _set["handlers"] = made


class _Console(logging.Handler):
    """Writes the lines of runs to stderr, as long as the program has not set up logging itself."""

    def __init__(self) -> None:
        super().__init__()
        self._stream = logging.StreamHandler()
        self._stream.setFormatter(logging.Formatter("%(asctime)s %(levelname)-7s %(run)s | %(message)s", "%H:%M:%S"))

    def emit(self, record: logging.LogRecord) -> None:
        if logging.getLogger().handlers or getattr(record, "printed", False):
            return
        record.run = getattr(record, "task_run_name", None) or getattr(record, "flow_run_name", None) or record.name
        self._stream.stream = sys.stderr  # whatever it is now
        self._stream.emit(record)


class _Shipping(logging.Handler):
    """Gives lines that are written in a run to the outbox."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            ids = {name: getattr(record, name, None) for name in _IDS}
            if ids["flow_run_id"] is None and ids["task_run_id"] is None:
                ids = _present()
            run = ids["flow_run_id"] or ids["task_run_id"]
            outbox = log_outbox.of_process() if run is not None else None
            if run is not None and outbox is not None:
                outbox.put(run, ids["task_run_id"], record)
        except Exception:  # noqa: BLE001 - logging must not fail the code that logs
            self.handleError(record)


def _present() -> dict[str, str | None]:
    flow, task = context.flow_context.get(), context.task_context.get()
    return {
        "flow_run_id": flow.run.id if flow else None,
        "flow_run_name": flow.run.name if flow else None,
        "task_run_id": task.run.id if task else None,
        "task_run_name": task.run.name if task else None,
    }


def _level(text: str | None) -> int:
    if not text:
        return logging.INFO
    found = int(text) if text.strip().isdigit() else logging.getLevelNamesMapping().get(text.strip().upper())
    if found is None:
        logging.getLogger("airside.flows").warning("AIRSIDE_LOG_LEVEL=%s is no level; INFO is used", text)
    return logging.INFO if found is None else found


def _names(loggers: str | None) -> list[str]:
    return [name.strip() for name in (loggers or "").split(",") if name.strip()]
