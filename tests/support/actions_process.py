"""A runner in a process of its own, to be killed: `python -m tests.support.actions_process NATS_URL`."""

import asyncio
import signal
import sys

from faststream.nats import NatsBroker
from tests.support.actions import settings

from airside.coordinator.actions import ActionRunner
from airside.events.log import Log, connect


async def main(url: str) -> None:
    """Run until asked to stop."""
    asked = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, asked.set)
    nc = await connect(url, name="actions-process")
    broker = NatsBroker(url, logger=None)
    runner = ActionRunner(broker, Log(nc), settings(ack_wait_seconds=3.0))
    await runner.start()
    print("ready", flush=True)
    await asked.wait()
    await runner.stop()
    await broker.stop()
    await nc.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
