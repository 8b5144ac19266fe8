"""The demo: a real coordinator in a temporary home, its story told by a client of its HTTP API."""

import asyncio
import base64
import os
import secrets
import signal
import sys
import tempfile
import threading
from pathlib import Path
from typing import Final

from airside.coordinator.demo.receiver import Receiver
from airside.coordinator.demo.screen import Screen
from airside.coordinator.demo.story import Stopped, Story
from airside.coordinator.server import running
from airside.coordinator.settings import ServerSettings
from airside.events.exceptions import AirsideError
from airside.sdk.client import Client
from airside.sdk.settings import ClientSettings

__all__ = ["run"]

_INTERRUPTED: Final = 130
_FAILED: Final = 1
_CANNOT: Final = 2


def run(*, keep: bool = False) -> int:
    """Run the demo. Gives the exit code: 0 if all it showed happened, 1 if not, 2 if it could not start."""
    secret = f"whsec_{base64.b64encode(secrets.token_bytes(24)).decode()}"
    try:
        with tempfile.TemporaryDirectory(prefix="airside-demo-") as folder, Receiver(secret) as receiver:
            _allow(receiver, secret)
            code = asyncio.run(_run(Path(folder), receiver, keep=keep))
        print("The server has stopped, and its files are deleted.")  # noqa: T201
        return code
    except AirsideError as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201
        return _CANNOT


def _allow(receiver: Receiver, secret: str) -> None:
    """Set what an operator would set: the receiver's secret, and that this one private address may be called."""
    os.environ["AIRSIDE_SECRET_ONCALL"] = secret
    os.environ["AIRSIDE_ALLOW_PRIVATE"] = receiver.address
    os.environ["AIRSIDE_ALLOW_HTTP"] = "true"


async def _run(home: Path, receiver: Receiver, *, keep: bool) -> int:
    stop = threading.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    screen = Screen()
    screen.say("Airside demo: a captured day of a small data stack, told to a real server on this machine.")
    settings = ServerSettings(
        home=home, host="127.0.0.1", port=0, nats_url=None, nats_port=-1, replicas=1, tls_cert=None, tls_key=None
    )
    async with running(settings) as (coordinator, url):
        nats = coordinator.addresses.get("nats", "")
        with Client(ClientSettings(url=url, token=None)) as client:
            story = Story(client, screen, receiver, stop)
            return await asyncio.to_thread(_tell, story, nats, stop if keep else None)


def _tell(story: Story, nats: str, until: threading.Event | None) -> int:
    """Tell the story from a thread, for the server has the event loop; then wait for `until`, if given."""
    screen = story.screen
    try:
        story.tell(nats)
        if until is not None:
            screen.say(f"\nStill up until Ctrl-C. Look around with: AIRSIDE_URL={story.url} airside status")
            until.wait()
    except Stopped:
        screen.say("\nStopping.")
        return _INTERRUPTED
    except AirsideError as error:
        screen.say(f"\nerror: {error}")
        return _FAILED
    return _FAILED if story.broken else 0
