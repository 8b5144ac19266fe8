"""Telling people through Apprise, with a receiver on loopback in their place."""

import json
import logging
import sys
from typing import Any

import pytest
from tests.support.actions import attempt_of, settings
from tests.support.receiver import http, receiver

from airside.coordinator.actions import ActionContext, ActionRefused, ActionRetry
from airside.coordinator.actions.notify import Notify

# Apprise's own imports
pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")

FIRING: dict[str, Any] = {"id": "f00d", "automation": "late", "reason": "no table.updated by 09:00", "actions": []}


def attempt(environment: dict[str, str], progress: dict[str, Any] | None = None, **parameters: Any) -> ActionContext:
    parameters = {"to": "oncall", "title": "{{ automation.name }}!"} | parameters
    return attempt_of("notify", parameters, settings(environment=environment, notify_seconds=3.0), FIRING, progress)


async def test_title_and_body_arrive() -> None:
    async with receiver() as target:
        environment = {"AIRSIDE_NOTIFY_ON_CALL": f"json://127.0.0.1:{target.port}/people"}
        result = await Notify().run(attempt(environment, to="on-call", body="see {{ firing.id }}"))
    message = json.loads(target.received[0].body)
    assert (message["title"], message["message"]) == ("late!", "see f00d")
    assert result == {"to": "AIRSIDE_NOTIFY_ON_CALL", "delivered": 1}


async def test_without_a_body_the_reason_is_told() -> None:
    async with receiver() as target:
        environment = {"AIRSIDE_NOTIFY_ONCALL": f"json://127.0.0.1:{target.port}/"}
        await Notify().run(attempt(environment, to="env:AIRSIDE_NOTIFY_ONCALL"))
    assert json.loads(target.received[0].body)["message"] == "no table.updated by 09:00"


async def test_who_was_told_is_not_told_again_when_another_fails() -> None:
    async with receiver() as fine, receiver(http(500), http(200)) as moody:
        environment = {"AIRSIDE_NOTIFY_ONCALL": f"json://127.0.0.1:{fine.port}/ json://127.0.0.1:{moody.port}/"}
        with pytest.raises(ActionRetry, match="AIRSIDE_NOTIFY_ONCALL: JSON did not take the message") as caught:
            await Notify().run(attempt(environment))
        assert caught.value.progress == {"delivered": [0]}
        result = await Notify().run(attempt(environment, caught.value.progress))
    assert result["delivered"] == 2
    assert (len(fine.received), len(moody.received)) == (1, 2)


async def test_redirects_are_not_followed() -> None:
    async with receiver() as secret, receiver(http(302, Location=f"http://127.0.0.1:{secret.port}/")) as target:
        with pytest.raises(ActionRetry):
            await Notify().run(attempt({"AIRSIDE_NOTIFY_ONCALL": f"json://127.0.0.1:{target.port}/"}))
    assert secret.received == []


async def test_a_receiver_that_hangs_is_left_at_the_deadline() -> None:
    async def silent(writer: Any) -> None:
        await writer.wait_closed()

    async with receiver(silent) as target:
        with pytest.raises(ActionRetry):
            await Notify().run(attempt({"AIRSIDE_NOTIFY_ONCALL": f"json://127.0.0.1:{target.port}/?rto=1&cto=1"}))


@pytest.mark.parametrize(
    ("to", "reason"),
    [
        ("oncall", "set AIRSIDE_NOTIFY_ONCALL to one or several Apprise URLs"),
        ("env:AIRSIDE_NOTIFY_NOBODY", "set AIRSIDE_NOTIFY_NOBODY to one"),
        ("env:DATABASE_URL", "reach no other variables"),
        ("env:AIRSIDE_SECRET_ORDERS", "reach no other variables"),
        ("block:oncall", "there is no block `oncall`"),
        ("slack://a/b/c", "rules hold no URLs"),
        ("env:A B", "name a target"),
    ],
)
async def test_targets_that_are_not_there_say_what_to_do(to: str, reason: str) -> None:
    with pytest.raises(ActionRefused, match=reason):
        await Notify().run(attempt({}, to=to))


async def test_without_apprise_it_is_said_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "apprise", None)
    with pytest.raises(ActionRefused, match=r"pip install 'airside\[notify\]'"):
        await Notify().run(attempt({"AIRSIDE_NOTIFY_ONCALL": "json://127.0.0.1/"}))


async def test_no_secret_of_a_url_is_told_or_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    urls = "json://user:s3cret@127.0.0.1:1/T0KEN nonsense://s3cret"
    with pytest.raises(ActionRetry, match="JSON did not take the message; URL 2 is none that Apprise knows") as caught:
        await Notify().run(attempt({"AIRSIDE_NOTIFY_ONCALL": urls}))
    told = caplog.text + str(caught.value)
    assert "s3cret" not in told
    assert "T0KEN" not in told
