"""The listener. Parameters are named as Airflow names them: it passes arguments by name.

Not listened to, because they say nothing or nothing that counts once: `before_stopping`, tasks that are only queued,
and the asset hooks: they run without an id or a time inside the request that ends a task, whose process tells more.
"""

import logging
import sys
from collections import OrderedDict
from collections.abc import Callable
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Final

from airside.sdk.integrations.airflow import facts
from airside.sdk.integrations.airflow import settings as airflow_settings

if TYPE_CHECKING:
    from airside.events.wire import WireEvent
    from airside.sdk.integrations.airflow.sending import Sender
    from airside.sdk.integrations.airflow.settings import AirflowSettings

log = logging.getLogger("airside.sdk")

NAMES: Final = (
    "on_starting",
    "on_dag_run_running",
    "on_dag_run_success",
    "on_dag_run_failed",
    "on_task_instance_running",
    "on_task_instance_success",
    "on_task_instance_failed",
    "on_task_instance_skipped",
    "on_new_dag_import_error",
    "on_existing_dag_import_error",
)
#: Import errors that are remembered: Airflow tells each one again at every parse, twice a minute.
_IMPORT_ERRORS: Final = 1_000
_RUNTIME: Final = "RuntimeTaskInstance"
_JOB: Final = "Job"
#: A DAG processor starts the same way, but forks for each file: it gets a thread only when it has something to tell.
_SCHEDULER: Final = "airflow.jobs.scheduler_job_runner"


class Hooks:
    """What Airflow calls. `load` reads the settings, once, when something happens for the first time."""

    def __init__(self, load: "Callable[[], AirflowSettings | None]" = airflow_settings.load) -> None:
        self._load = load
        self._sender: Sender | None = None
        self._is_open = False
        self._warned: set[str] = set()
        self._import_errors: OrderedDict[bytes, None] = OrderedDict()

    def on_starting(self, component: Any) -> None:
        """Ship what is left over from now on, where a scheduler starts."""
        self._guard("on_starting", lambda: self._start(component))

    def on_dag_run_running(self, dag_run: Any, msg: str) -> None:
        """Emit a run's state."""
        self._guard("on_dag_run_running", lambda: self._dag_run(dag_run, msg))

    def on_dag_run_success(self, dag_run: Any, msg: str) -> None:
        """Emit a run's state."""
        self._guard("on_dag_run_success", lambda: self._dag_run(dag_run, msg))

    def on_dag_run_failed(self, dag_run: Any, msg: str) -> None:
        """Emit a run's state."""
        self._guard("on_dag_run_failed", lambda: self._dag_run(dag_run, msg))

    def on_task_instance_running(self, previous_state: Any, task_instance: Any) -> None:
        """Emit a task's state."""
        self._guard("on_task_instance_running", lambda: self._task(task_instance))

    def on_task_instance_success(self, previous_state: Any, task_instance: Any) -> None:
        """Emit a task's state, and the assets that it updated."""
        self._guard("on_task_instance_success", lambda: self._task(task_instance))

    def on_task_instance_failed(self, previous_state: Any, task_instance: Any, error: Any) -> None:
        """Emit a task's state: Airflow calls this for a try that is followed by another one, too."""
        self._guard("on_task_instance_failed", lambda: self._task(task_instance, error))

    def on_task_instance_skipped(self, previous_state: Any, task_instance: Any) -> None:
        """Emit a task's state."""
        self._guard("on_task_instance_skipped", lambda: self._task(task_instance))

    def on_new_dag_import_error(self, filename: str, stacktrace: str) -> None:
        """Emit that a file cannot be read."""
        self._guard("on_new_dag_import_error", lambda: self._import_error(filename, stacktrace))

    def on_existing_dag_import_error(self, filename: str, stacktrace: str) -> None:
        """Emit that a file cannot be read, unless it is known."""
        self._guard("on_existing_dag_import_error", lambda: self._import_error(filename, stacktrace))

    def _start(self, component: Any) -> None:
        if type(component).__name__ != _JOB or _SCHEDULER not in sys.modules or (sender := self._open()) is None:
            return
        from airside.events import airflow  # noqa: F401, PLC0415 - tasks are forked from here, and have it then

        sender.start()

    def _dag_run(self, dag_run: Any, msg: object) -> None:
        if (sender := self._open()) is None:
            return
        from airside.events import airflow  # noqa: PLC0415 - 150 ms, which an Airflow that emits nothing need not pay

        event = airflow.dag_run_event(sender.settings.instance, facts.dag_run(dag_run, msg))
        sender.send([event] if event else [])

    def _task(self, ti: Any, error: object = None) -> None:
        if (sender := self._open()) is None:
            return
        from airside.events import airflow  # noqa: PLC0415

        is_its_own_process = type(ti).__name__ == _RUNTIME
        if is_its_own_process:
            sender.leave_word_to_others()
        found = facts.task_instance(ti, error)
        word = str(getattr(found["state"], "value", found["state"]))
        if word == "success" and is_its_own_process:
            found["outlet_events"] = facts.outlet_events(ti)
        events: list[WireEvent] = airflow.task_events(sender.settings.instance, found)
        sender.send(events, last_chance=is_its_own_process and word != "running")

    def _import_error(self, filename: str, stacktrace: str) -> None:
        key = blake2b(f"{filename}\n{stacktrace}".encode(errors="replace"), digest_size=16).digest()
        if key in self._import_errors or (sender := self._open()) is None:
            return
        from airside.events import airflow  # noqa: PLC0415

        given = {"filename": filename, "stacktrace": stacktrace, "root": sender.settings.dags_folder}
        sender.send([airflow.import_error_event(sender.settings.instance, given)])
        self._import_errors[key] = None
        if len(self._import_errors) > _IMPORT_ERRORS:
            self._import_errors.popitem(last=False)

    def _open(self) -> "Sender | None":
        if not self._is_open:
            self._is_open = True  # also when it fails: a setting that is wrong is told once
            settings = self._load()
            if settings is None:
                log.debug("AIRSIDE_URL is not set: nothing is sent to Airside")
                return None
            from airside.sdk.integrations.airflow.sending import Sender  # noqa: PLC0415

            self._sender = Sender(settings)
        return self._sender

    def _guard(self, hook: str, work: Callable[[], None]) -> None:
        """Keep everything that may go wrong here away from Airflow; say it once a kind."""
        try:
            work()
        except Exception as error:
            kind = f"{hook} {type(error).__name__}"
            if kind not in self._warned:
                self._warned.add(kind)
                text = str(error)[:300] if type(error).__name__ in ("BadSettings", "InvalidEvent") else ""
                log.warning("Airside missed %s: %s %s", hook, type(error).__name__, text)
                log.debug("a hook failed", exc_info=error)
