"""What lint says about actions before they ever run."""

from typing import Any

import pytest

from airside.coordinator.actions import KINDS, lint, problems
from airside.triggers import actions as models


def document(*actions: dict[str, Any], on_resolve: tuple[dict[str, Any], ...] = ()) -> dict[str, Any]:
    return {"name": "rule", "actions": list(actions), "on_resolve": list(on_resolve)}


WEBHOOK = {"url": "https://hooks.example/{{ key.resource.id }}?day={{ window.end | date }}", "secret": "orders"}


def test_good_actions_have_no_problems() -> None:
    good = document(
        {"webhook": {**WEBHOOK, "headers": {"X-Who": "{{ automation.name }}"}, "timeout": "5s"}},
        {"notify": {"to": "oncall", "title": "{{ event.resource.name }} keeps failing"}},
        {
            "notify": {
                "to": "env:AIRSIDE_NOTIFY_ONCALL",
                "title": "{% if late_by %}late{% endif %}",
                "body": "{{ run.id }}",
            }
        },
        {"emit": {"type": "table.stale", "resource": {"id": "{{ resource.id }}"}, "payload": {"a": [1, "{{ key }}"]}}},
        on_resolve=({"notify": {"to": "oncall", "title": "{{ late_by }} late"}},),
    )
    assert problems(good) == []


@pytest.mark.parametrize(
    ("action", "path", "message"),
    [
        ({"notify": {"to": "oncall", "title": "{{ evnt.id }}"}}, "notify.title", "did you mean `event`"),
        ({"notify": {"to": "oncall", "title": "a", "body": "x\n{{ f() }}"}}, "notify.body", "line 2: nothing can be"),
        ({"notify": {"to": "block:On Call", "title": "a"}}, "notify.to", "must be `block:NAME`"),
        ({"notify": {"to": "slack://token", "title": "a"}}, "notify.to", "rules hold no URLs"),
        ({"notify": {"to": "env:", "title": "a"}}, "notify.to", "name a target"),
        (
            {"webhook": {**WEBHOOK, "url": "https://{{ event.payload.host }}/x"}},
            "webhook.url",
            "the host must be written out",
        ),
        ({"webhook": {**WEBHOOK, "url": "https://a.{{ key.x }}.example/"}}, "webhook.url", "the host must be"),
        ({"webhook": {**WEBHOOK, "url": "{{ event.payload.url }}"}}, "webhook.url", "must start with https://"),
        ({"notify": {"to": "env:HOME", "title": "a"}}, "notify.to", "reach no other variables"),
        ({"webhook": {**WEBHOOK, "url": "ftp://a.example/x"}}, "webhook.url", "by HTTP, not `ftp`"),
        ({"webhook": {**WEBHOOK, "url": "env:DATABASE_URL"}}, "webhook.url", "begin with AIRSIDE_WEBHOOK_"),
        (
            {"webhook": {"url": "env:AIRSIDE_WEBHOOK_A", "headers": {"X": "env:HOME"}}},
            "webhook.headers.X",
            "begin with AIRSIDE_HEADER_",
        ),
        (
            {"webhook": {**WEBHOOK, "headers": {"X": "env:AIRSIDE_HEADER_A"}}},
            "webhook.headers.X",
            "only where a block or a variable says",
        ),
        ({"webhook": {**WEBHOOK, "secret": "whsec_C2FVsBQ"}}, "webhook.secret", "give the name of the secret"),
        ({"webhook": {**WEBHOOK, "secret": "a b"}}, "webhook.secret", "give the name of the secret"),
        ({"webhook": {**WEBHOOK, "headers": {"Webhook-Id": "1"}}}, "webhook.headers.Webhook-Id", "set by Airside"),
        ({"webhook": {**WEBHOOK, "headers": {"X": "{{ 1 + 1 }}"}}}, "webhook.headers.X", "arithmetic"),
        ({"webhook": {**WEBHOOK, "body": {"a": [{"b": "{{ x | y }}"}]}}}, "webhook.body.a.0.b", "no filter `y`"),
        ({"emit": {"type": "a b", "resource": {"id": "a"}}}, "emit.type", "one or more words between dots"),
        ({"emit": {"type": "a.b", "resource": {"id": "a\x00b"}}}, "emit.resource.id", "control characters"),
        ({"emit": {"type": "sla.met", "resource": {"id": "a"}}}, "emit.type", "written by Airside itself"),
        ({"kind": "emit", "type": "sla.met", "resource": {"id": "a"}}, "type", "written by Airside itself"),
        ({"start_run": {"parameters": {"day": "{{ window.end | dat }}"}}}, "start_run.parameters.day", "`date`"),
    ],
)
def test_mistakes_are_found_where_they_stand(action: dict[str, Any], path: str, message: str) -> None:
    ((found, said),) = problems(document(action))
    assert found == f"actions.0.{path}"
    assert message in said
    ((found, _),) = problems(document(on_resolve=(action,)))
    assert found == f"on_resolve.0.{path}"


@pytest.mark.parametrize(
    ("parameters", "fields"),
    [
        (WEBHOOK, []),
        ({"url": "https://example.com/hooks/warehouse-oncall-escalations"}, []),
        ({"url": "https://hooks.example.com/services/T02AB/B03CD/x7Kq9ZLm2vTt4RyWc8NpQd1s"}, ["url"]),
        ({"url": "https://example.com/in?token=abc"}, ["url"]),
        ({"url": "https://example.com/in?day={{ window.end | date }}"}, []),
        (
            {"url": "https://example.com/", "headers": {"Authorization": "Bearer x", "X-Team": "a"}},
            ["headers.Authorization"],
        ),
        ({"url": "env:AIRSIDE_WEBHOOK_A", "headers": {"Authorization": "env:AIRSIDE_HEADER_A"}}, []),
    ],
)
def test_secrets_that_are_written_out_are_suspected(parameters: dict[str, Any], fields: list[str]) -> None:
    assert [field for field, _ in lint.suspicions("webhook", parameters)] == fields


def test_each_kind_that_rules_may_name_can_be_carried_out() -> None:
    assert sorted(KINDS) == sorted(models.actions())
