"""Tasks on a Ray cluster, by its own scheduler. `pip install 'airside[ray]'`."""

import threading
from typing import Any

from airside.events.run_states import State as Kind
from airside.sdk.flows.exceptions import BadOption, RunCancelled
from airside.sdk.flows.runners import remote
from airside.sdk.flows.runners.driven import DrivenRunner
from airside.sdk.flows.states import State
from airside.sdk.flows.task_run import Call


class RayRunner(DrivenRunner):
    """Runs tasks on the Ray cluster at `address` (`auto`, or `ray://…`), else on one of this machine's own.

    `init` are options of `ray.init`, `task_options` those of each remote task, as `{"num_cpus": 2}`. At most `workers`
    tasks are with Ray at a time. Changes of state are told when a task has ended, with their true times. What does not
    stop within `grace` seconds after it was cancelled is killed.
    """

    def __init__(
        self,
        address: str | None = None,
        *,
        workers: int = 64,
        grace: float = 3.0,
        task_options: dict[str, Any] | None = None,
        **init: Any,
    ) -> None:
        super().__init__(workers)
        self._address = address
        self._grace = grace
        self._task_options = {"max_retries": 0} | (task_options or {})
        self._init = init
        self._function: Any = None
        self._ours = False

    def run(self, call: Call, data: bytes) -> State[Any]:
        """Have a call carried out by the cluster."""
        function = self._connected()
        import ray  # noqa: PLC0415 - an extra

        sent = function.remote(data)
        killing = threading.Timer(self._grace, ray.cancel, args=(sent,), kwargs={"force": True})
        killing.daemon = True

        def stop(_reason: str) -> None:
            ray.cancel(sent, force=False)
            killing.start()

        if call.stop is not None:
            call.stop.tell(stop)
        try:
            return remote.receive_whole(call, ray.get(sent))
        except (ray.exceptions.TaskCancelledError, ray.exceptions.WorkerCrashedError, ray.exceptions.RayTaskError):
            if call.stop is None or not call.stop.asked:
                raise
            text = call.stop.reason
            return remote.end(call, State(Kind.CANCELLED, text, error=RunCancelled(text)))
        finally:
            killing.cancel()
            if call.stop is not None:
                call.stop.forget(stop)

    def shut_down(self) -> None:
        """Leave the cluster; end it if it is ours."""
        with self.lock:
            ours, self._ours, self._function = self._ours, False, None
        if ours:
            import ray  # noqa: PLC0415

            ray.shutdown()

    def _connected(self) -> Any:
        with self.lock:
            if self._function is None:
                try:
                    import ray  # noqa: PLC0415 - an extra
                except ImportError as error:
                    raise BadOption("RayRunner needs Ray: pip install 'airside[ray]'") from error
                if not ray.is_initialized():
                    options = {"include_dashboard": False} if self._address is None else {}
                    ray.init(address=self._address, log_to_driver=False, **{**options, **self._init})
                    self._ours = True
                self._function = ray.remote(remote.carry_out_whole).options(**self._task_options)
            return self._function
