"""An agent inside a program of the user's: what `Flow.serve` runs."""

import asyncio
import os
import platform
import threading

from airside.agent.working import command
from airside.sdk import settings
from airside.sdk.cli import output


def serve(deployment: str, queue: str, limit: int) -> None:
    """Carry out the runs of one deployment's own queue until Ctrl-C, or SIGTERM."""
    loaded = settings.load()
    about = {"name": f"{platform.node()}, process {os.getpid()}", "labels": {"serves": deployment}, "limit": limit}
    plan = command.plan_of(loaded, (queue,), about)
    output.note(f"serving {output.plain(deployment)}; Ctrl-C ends")
    main = threading.current_thread() is threading.main_thread()
    asyncio.run(command.work(plan, loaded, output.note, handle_signals=main))
