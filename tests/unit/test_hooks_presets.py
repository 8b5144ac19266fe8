"""What each sender's delivery becomes with its preset. Deliveries captured from real tools lie in tests/data/hooks."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import msgspec
import pytest

from airside.coordinator.hooks import mapping, presets
from airside.coordinator.hooks.reading import Unmapped
from airside.coordinator.hooks.signatures import SCHEMES, Delivery
from airside.events import datasets
from airside.events.limits import Limits
from airside.events.wire import WireEvent

DATA = Path(__file__).parents[1] / "data" / "hooks"
RECEIVED = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)


def read(name: str) -> Any:
    return json.loads((DATA / name).read_text())


def become(preset: str, body: Any, **headers: str) -> list[WireEvent]:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    delivery = Delivery({"content-type": "application/json", **named}, {}, raw, RECEIVED)
    return mapping.run(presets.load(preset), delivery, delivery.sha256, mapping.Hook(name="it"), Limits())


def shown(event: WireEvent) -> tuple[str, str]:
    return event.type, event.resource.id


@pytest.mark.parametrize("name", presets.names())
def test_every_preset_says_what_it_is_for_and_how_its_senders_sign(name: str) -> None:
    found = presets.load(name)
    assert found.about
    assert found.signature in SCHEMES
    assert found.signature != "none"


def test_a_workflow_run_of_github_is_named_by_how_it_ended() -> None:
    body = read("github_workflow_run.json")
    (event,) = become("github", body, x_github_event="workflow_run")
    assert shown(event) == ("github.workflow_run.failure", "github://shop/etl/workflow/159038")
    assert event.resource.labels == {"branch": "main"}
    assert {related.role: related.id for related in event.related} == {
        "run": "run://github/shop/etl/30433642",
        "repository": "github://shop/etl",
    }
    assert event.time == datetime(2026, 11, 22, 9, 4, 12, tzinfo=UTC)
    begun = {**body, "action": "requested", "workflow_run": {**body["workflow_run"], "conclusion": None}}
    (first,) = become("github", begun, x_github_event="workflow_run")
    assert first.type == "github.workflow_run.requested"
    assert first.id != event.id


def test_github_s_ping_is_ignored_and_its_form_is_read() -> None:
    assert become("github", {"zen": "Keep it simple."}, x_github_event="ping") == []
    body = read("github_workflow_run.json")
    form = urlencode({"payload": json.dumps(body)}).encode()
    kind = {"content_type": "application/x-www-form-urlencoded"}
    assert become("github", form, x_github_event="workflow_run", **kind) == become(
        "github", body, x_github_event="workflow_run"
    )


def test_any_other_event_of_github_counts_once_whatever_its_headers_say() -> None:
    body = {"action": "opened", "issue": {"number": 7}, "repository": {"full_name": "shop/etl"}}
    (event,) = become("github", body, x_github_event="issues", x_github_delivery="a")
    (again,) = become("github", body, x_github_event="issues", x_github_delivery="b")
    assert shown(event) == ("github.issues.opened", "github://shop/etl")
    assert event.id == again.id


def test_an_object_that_landed_in_s3_is_the_one_that_openlineage_means() -> None:
    (event,) = become("s3", read("s3.json"))
    assert shown(event) == ("file.landed", "s3://lake/raw/orders/dt=2026-11-21/part%200.csv")
    assert event.resource.id == datasets.dataset_id("s3://lake", "raw/orders/dt=2026-11-21/part 0.csv")
    assert event.payload_object()["key"] == "raw/orders/dt=2026-11-21/part 0.csv"
    assert event.payload_object()["sequencer"] == "0055AED6DCD90281E5"


def test_what_moto_sends_for_s3_becomes_one_event_for_each_change() -> None:
    events = [event for message in read("s3_moto.json") for event in become("s3", message)]
    assert [shown(event) for event in events] == [
        ("file.landed", "s3://lake/raw/orders/dt=2026-11-21/part%200+%C3%A4.csv"),
        ("file.landed", "s3://lake/raw/big.bin"),
        ("file.landed", "s3://lake/raw/big.bin"),
        ("file.landed", "s3://lake/raw/copy.csv"),
        ("file.removed", "s3://lake/raw/copy.csv"),
    ]
    assert len({event.id for event in events}) == len(events)


def test_s3_by_eventbridge_and_by_minio_speaks_of_the_same_resource() -> None:
    (bridged,) = become("eventbridge", read("eventbridge.json"))
    (notified,) = become("minio", read("s3.json"))
    assert shown(bridged) == shown(notified) == ("file.landed", "s3://lake/raw/orders/dt=2026-11-21/part%200.csv")
    other = {**read("eventbridge.json"), "source": "aws.glue", "detail-type": "Glue Job State Change", "detail": {}}
    (event,) = become("eventbridge", other)
    assert event.type == "eventbridge.aws.glue"


@pytest.mark.parametrize("preset", ["alertmanager", "grafana"])
def test_each_alert_is_an_event_of_its_own_and_counts_once_however_often_it_is_sent(preset: str) -> None:
    body = read("alertmanager.json")
    firing, resolved = become(preset, body)
    assert shown(firing) == ("alert.firing", "alert://Lag/a1b2c3")
    assert shown(resolved) == ("alert.resolved", "alert://Lag/d4e5f6")
    assert firing.resource.labels == {"alertname": "Lag", "severity": "critical", "topic": "orders"}
    assert resolved.time == datetime(2026, 11, 22, 8, 5, tzinfo=UTC)
    again = become(preset, {**body, "groupKey": "later"})
    assert [event.id for event in again] == [firing.id, resolved.id]


def test_a_validation_of_great_expectations_keeps_no_row_values() -> None:
    (event,) = become("great-expectations", read("gx_validation.json"))
    assert shown(event) == ("check.failed", "gx://lake/orders")
    assert event.time == datetime(2026, 11, 22, 6, 21, 10, 587524, tzinfo=UTC)
    (described,) = become("great-expectations", read("gx_checkpoint.json"))
    assert shown(described) == ("check.failed", "gx://lake-orders")
    for each in (event, described):
        assert each.payload_object()["statistics"]["unsuccessful_expectations"] == 3
        text = msgspec.json.encode(each)
        assert b"partial_unexpected" not in text
        assert b"unexpected_percent" in text


def test_a_run_of_the_dbt_platform_has_its_job_and_run() -> None:
    (event,) = become("dbt-cloud", read("dbt_cloud.json"))
    assert shown(event) == ("dbt_cloud.job.run.errored", "dbt-cloud://1/job/123")
    assert event.resource.labels == {"environment": "Production", "project": "shop"}
    assert [related.id for related in event.related] == ["run://dbt-cloud/1/12345"]


def test_an_incident_of_monte_carlo_is_about_the_table_that_dbt_built() -> None:
    (event,) = become("monte-carlo", read("monte_carlo.json"))
    assert shown(event) == ("incident.anomalies", "table://warehouse/shop/orders")


def test_stripe_slack_pagerduty_and_gitlab_name_their_events() -> None:
    created = {
        "id": "evt_1",
        "type": "invoice.paid",
        "created": 1795338000,
        "data": {"object": {"object": "invoice", "id": "in_1"}},
    }
    (paid,) = become("stripe", created)
    assert (*shown(paid), paid.id) == ("stripe.invoice.paid", "stripe://invoice/in_1", "stripe:evt_1")
    assert paid.time == datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
    message = {
        "token": "old-secret",
        "type": "event_callback",
        "team_id": "T1",
        "event_id": "Ev1",
        "event_time": 1795338000,
        "event": {"type": "message", "channel": "C1", "text": "hello"},
    }
    (said,) = become("slack", message)
    assert shown(said) == ("slack.message", "slack://T1/C1")
    assert b"old-secret" not in msgspec.json.encode(said)
    incident = {"id": "01D", "event_type": "incident.triggered", "occurred_at": "2026-11-22T08:00:00Z"}
    (called,) = become("pagerduty", {"event": {**incident, "data": {"id": "PX", "type": "incident", "title": "late"}}})
    assert shown(called) == ("pagerduty.incident.triggered", "pagerduty://incident/PX")
    pipeline = {"object_kind": "pipeline", "object_attributes": {"id": 31, "status": "failed"}}
    (built,) = become("gitlab", {**pipeline, "project": {"path_with_namespace": "shop/etl"}})
    assert shown(built) == ("gitlab.pipeline.failed", "gitlab://shop/etl")


def test_a_standard_webhook_brings_its_own_type() -> None:
    body = {"type": "order.placed", "timestamp": "2026-11-22T08:00:00Z", "data": {"rows": 4}}
    (event,) = become("standard", body)
    assert shown(event) == ("order.placed", "hook://it")
    assert event.payload_object() == {"rows": 4}


def test_a_type_that_only_airside_may_write_is_refused_whoever_signed_it() -> None:
    body = {"type": "automation.deleted", "timestamp": "2026-11-22T08:00:00Z", "data": {}}
    with pytest.raises(Unmapped) as refused:
        become("standard", body)
    assert [problem.field for problem in refused.value.problems] == ["type"]
