"""What the actions of an automation would not find on the server, told when it is applied."""

import json
from typing import Any

import pytest

from airside.coordinator.actions.missing import missing
from airside.coordinator.actions.settings import ActionSettings
from airside.coordinator.outbound import OutboundSettings
from airside.triggers import document


def said(action: dict[str, Any], environment: dict[str, str], allow_private: str = "") -> list[tuple[str, str]]:
    text = {"name": "x", "trigger": {"match": {"type": "a.b"}}, "actions": [action]}
    settings = ActionSettings(environment=environment, outbound=OutboundSettings(allow_private=allow_private))
    [automation] = document.parse_file(json.dumps(text)).automations
    return missing(automation.to_document(), settings)


@pytest.mark.parametrize(
    ("action", "path", "message"),
    [
        ({"notify": {"to": "oncall", "title": "a"}}, "actions.0.notify", "set AIRSIDE_NOTIFY_ONCALL"),
        (
            {"webhook": {"url": "https://a.example/x", "secret": "oncall"}},
            "actions.0.webhook",
            "set AIRSIDE_SECRET_ONCALL",
        ),
        ({"webhook": {"url": "env:AIRSIDE_WEBHOOK_A"}}, "actions.0.webhook", "AIRSIDE_WEBHOOK_A is not set"),
        ({"webhook": {"url": "http://127.0.0.1:9/x"}}, "actions.0.webhook", "AIRSIDE_ALLOW_PRIVATE=127.0.0.1:9"),
        ({"webhook": {"url": "https://localhost/x"}}, "actions.0.webhook", "AIRSIDE_ALLOW_PRIVATE=localhost:443"),
        ({"trigger_dag": {"airflow": "prod", "dag": "a"}}, "actions.0.trigger_dag", "set AIRSIDE_AIRFLOW_PROD_URL"),
    ],
)
def test_what_is_not_set_is_told_with_its_place(action: dict[str, Any], path: str, message: str) -> None:
    [(where, text)] = said(action, {})
    assert where == path
    assert message in text


@pytest.mark.parametrize(
    "action",
    [
        {"notify": {"to": "oncall", "title": "a"}},
        {"webhook": {"url": "http://127.0.0.1:9/x", "secret": "oncall"}},
        {"webhook": {"url": "env:AIRSIDE_WEBHOOK_A"}},
        {"trigger_dag": {"airflow": "prod", "dag": "a"}},
        {"emit": {"type": "a.c", "resource": "x://y"}},
    ],
)
def test_a_server_that_has_everything_is_told_nothing(action: dict[str, Any]) -> None:
    environment = {
        "AIRSIDE_NOTIFY_ONCALL": "json://a.example",
        "AIRSIDE_SECRET_ONCALL": "hush",
        "AIRSIDE_WEBHOOK_A": "https://a.example/key",
        "AIRSIDE_AIRFLOW_PROD_URL": "https://airflow.example",
    }
    assert said(action, environment, allow_private="127.0.0.1:9") == []
