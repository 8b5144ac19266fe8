"""`python -m airside.agent.run_one FILE.py:FLOW`: the process that carries out one run for an agent.

Exits 0 when the run ended and its end was told, however it ended; else as the code did.
"""

import asyncio
import json
import os
import signal
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any, Final

from airside.agent import run_limits
from airside.sdk.flows import starting
from airside.sdk.flows.flow import Flow

_LIFELINE: Final = "AIRSIDE_AGENT_LIFELINE"
#: When the agent is gone its lease ends: by then this process must be gone too, or the run could be carried out twice.
_GRACE_SECONDS: Final = 10.0


def main() -> int:
    """Carry out the run that the environment names."""
    limits = run_limits.take()
    _end_with_the_agent()
    flow = starting.load(_entrypoint(sys.argv[1]))
    options = json.loads(os.environ.pop("AIRSIDE_RUN_OPTIONS", "{}"))
    if options or limits:
        flow = Flow(run_limits.telling(flow.fn, limits), flow.options).with_options(**options)
    values = flow.parameters.bind((), _parameters())
    made: Any = flow(**values, return_state=True)
    if flow.is_async:
        made = asyncio.run(made)
    return 0


def _entrypoint(text: str) -> str:
    """Give FILE.py:FLOW; in a container the code is brought here, where an agent has brought it before elsewhere."""
    storage = json.loads(os.environ.pop("AIRSIDE_RUN_STORAGE", "null"))
    if storage is None:
        return text
    from airside.agent.working import storage as storages  # noqa: PLC0415 - in containers alone
    from airside.agent.working.exceptions import CannotPrepare  # noqa: PLC0415

    try:
        code = asyncio.run(storages.fetch(storage, Path(tempfile.mkdtemp(prefix="airside-run-")), plane=os.environ))
        os.chdir(code.folder)
        if code.version:
            os.environ["AIRSIDE_CODE_VERSION"] = code.version
        return code.entrypoint(text)
    except CannotPrepare as error:
        sys.exit(str(error))


def _parameters() -> dict[str, Any]:
    text = os.environ.pop("AIRSIDE_RUN_PARAMETERS_JSON", "{}")
    if file := os.environ.pop("AIRSIDE_RUN_PARAMETERS", ""):
        text = Path(file).read_text(encoding="utf-8")
    found = json.loads(text)
    if not isinstance(found, dict):
        raise TypeError("the parameters must be a JSON object")
    return found


def _end_with_the_agent() -> None:
    """End when the agent does, however it ends: its side of the pipe closes with it."""
    text = os.environ.pop(_LIFELINE, "")
    if text.isdigit():
        os.set_inheritable(int(text), False)
        threading.Thread(target=_watch, args=(int(text),), name="airside-lifeline", daemon=True).start()


def _watch(lifeline: int) -> None:
    try:
        os.read(lifeline, 1)
    except OSError:
        return
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(_GRACE_SECONDS)
    os.killpg(os.getpgrp(), signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main())
