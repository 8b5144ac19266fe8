"""Tasks on a Dask cluster, by its own scheduler. `pip install 'airside[dask]'`."""

import concurrent.futures
from typing import Any

from airside.events.run_states import State as Kind
from airside.sdk.flows.exceptions import BadOption, RunCancelled, RunCrashed
from airside.sdk.flows.runners import remote
from airside.sdk.flows.runners.driven import DrivenRunner
from airside.sdk.flows.states import State, describe
from airside.sdk.flows.task_run import Call


class DaskRunner(DrivenRunner):
    """Runs tasks on the Dask scheduler at `address`, else on a `LocalCluster` made with the given options.

    A worker process that dies takes all tasks with it that run on its threads. A scheduler of your own runs them again
    on another worker, three times unless its `allowed-failures` says otherwise; a local one does not.

    At most `workers` tasks are with Dask at a time. Changes of state are told when a task has ended, with their true
    times. Dask cannot interrupt a task that runs: one that is cancelled counts as ended, and goes on unheard.
    """

    def __init__(self, address: str | None = None, *, workers: int = 64, **cluster: Any) -> None:
        if address is not None and cluster:
            raise BadOption("options of a local cluster make no sense with an address")
        super().__init__(workers)
        self._address = address
        self._options = cluster
        self._client: Any = None

    def run(self, call: Call, data: bytes) -> State[Any]:
        """Have a call carried out by the cluster."""
        from distributed import CancelledError  # noqa: PLC0415 - an extra

        client = self._connected()
        key = f"{call.task.name}-{call.run.id}"
        sent = client.submit(remote.carry_out_whole, data, key=key, pure=False, retries=0)

        def stop(_reason: str) -> None:
            client.cancel([sent], force=True, asynchronous=client.asynchronous)

        if call.stop is not None:
            call.stop.tell(stop)
        try:
            return remote.receive_whole(call, sent.result())
        except (CancelledError, concurrent.futures.CancelledError) as error:
            if call.stop is None or not call.stop.asked:
                return remote.lost(call, RunCrashed(f"Dask gave the task up: {describe(error)}"))
            text = call.stop.reason
            return remote.end(call, State(Kind.CANCELLED, text, error=RunCancelled(text)))
        finally:
            if call.stop is not None:
                call.stop.forget(stop)

    def shut_down(self) -> None:
        """Leave the cluster; end it if it is ours."""
        with self.lock:
            client, self._client = self._client, None
        if client is not None:
            client.close()
            if self._address is None:
                client.cluster.close()

    def _connected(self) -> Any:
        with self.lock:
            if self._client is None:
                try:
                    from distributed import Client, LocalCluster  # noqa: PLC0415 - an extra
                except ImportError as error:
                    raise BadOption("DaskRunner needs Dask: pip install 'airside[dask]'") from error
                alone = {"allowed_failures": 0}  # a task whose worker died is lost, not run again on another one
                options = {"dashboard_address": ":0", "scheduler_kwargs": alone} | self._options
                where = self._address or LocalCluster(**options)  # type: ignore[no-untyped-call]
                self._client = Client(where, set_as_default=False)  # type: ignore[no-untyped-call]
            return self._client
