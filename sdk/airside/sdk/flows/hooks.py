"""Calling people's functions when a run reaches a state."""

import logging
from typing import Any, Protocol

from airside.sdk.flows.options import Options
from airside.sdk.flows.reporting import Run
from airside.sdk.flows.states import State

_log = logging.getLogger("airside.flows")


class Decorated(Protocol):
    """A flow or a task."""

    @property
    def options(self) -> Options: ...


def call_hooks(decorated: Decorated, run: Run, state: State[Any]) -> None:
    """Call the hooks of this state, each with (decorated, run, state). What one raises is logged."""
    for hook in decorated.options.hooks.get(state.kind, ()):
        try:
            hook(decorated, run, state)
        except Exception:  # noqa: BLE001 - people's code
            _log.exception(
                "a hook of %s failed when its run %s became %s", decorated.options.name, run.name, state.kind
            )
