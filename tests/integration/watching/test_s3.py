"""Objects in a bucket of moto's S3 server, over real HTTP, by the real client."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.support.watching import Watching

from airside.agent.watching.watcher import WatchError
from airside.coordinator.hooks import mapping, presets
from airside.coordinator.hooks.signatures import Delivery
from airside.events.limits import Limits
from airside.events.wire import WireEvent

boto3 = pytest.importorskip("boto3")
server = pytest.importorskip("moto.server")
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Any]:
    moto = server.ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    moto.start()
    host, port = moto.get_host_and_port()
    for name, value in {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "SECRET",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_CONFIG_FILE": str(tmp_path / "none"),
        "AWS_EC2_METADATA_DISABLED": "true",
    }.items():
        monkeypatch.setenv(name, value)
    client = boto3.client("s3")
    httpx.post(f"http://{host}:{port}/moto-api/reset")  # what it holds is the process's
    client.create_bucket(Bucket="lake")
    yield client
    client.close()
    moto.stop()


def notified_of(key: str, size: int) -> WireEvent:
    """Give what the preset makes of a notification."""
    told = json.loads((Path(__file__).parents[2] / "data" / "hooks" / "s3.json").read_text())
    told["Records"][0]["s3"]["object"] = {"key": key, "size": size, "eTag": "25d5"}
    told["Records"] = told["Records"][:1]
    raw = json.dumps(told).encode()
    delivery = Delivery({"content-type": "application/json"}, {}, raw, datetime(2026, 11, 22, tzinfo=UTC))
    [event] = mapping.run(presets.load("s3"), delivery, delivery.sha256, mapping.Hook(name="it"), Limits())
    return event


async def test_an_object_lands_once_and_again_when_it_is_written_anew(bucket: Any) -> None:
    eyes = Watching.url("s3://lake/raw/**")
    bucket.put_object(Bucket="lake", Key="other/b.csv", Body=b"1")
    bucket.put_object(Bucket="lake", Key="raw/orders/dt=2026-11-21/part 0+ä.csv", Body=b"12345678")
    [event] = await eyes.look()
    assert event["type"] == "file.landed"
    assert event["payload"]["size"] == 8
    assert event["payload"]["key"] == "raw/orders/dt=2026-11-21/part 0+ä.csv"
    assert event["payload"]["etag"] == "25d55ad283aa400af464c76d713c07ad"
    assert event["time"] == event["payload"]["modified"]
    assert await eyes.look() == []
    bucket.put_object(Bucket="lake", Key="raw/orders/dt=2026-11-21/part 0+ä.csv", Body=b"new")
    [again] = await eyes.look()
    assert again["resource"] == event["resource"]
    assert again["id"] != event["id"]


async def test_a_watcher_and_a_notification_speak_of_one_file_in_the_same_fields(bucket: Any) -> None:
    bucket.put_object(Bucket="lake", Key="raw/orders/dt=2026-11-21/part 0+ä.csv", Body=b"12345678")
    [watched] = await Watching.url("s3://lake/").look()
    notified = notified_of("raw%2Forders%2Fdt%3D2026-11-21%2Fpart+0%2B%C3%A4.csv", 8)
    about = notified.resource
    assert watched["resource"] == {"id": about.id, "kind": about.kind, "name": about.name}
    assert [(entry["role"], entry["id"]) for entry in watched["related"]] == [
        (entry.role, entry.id) for entry in notified.related
    ]
    payload = notified.payload_object()
    for name in ("bucket", "key"):
        assert watched["payload"][name] == payload[name]
    assert int(payload["size"]) == watched["payload"]["size"]


async def test_a_bucket_that_is_not_there_is_told_without_keys(bucket: Any) -> None:
    with pytest.raises(WatchError, match="missing is not there") as caught:
        await Watching.url("s3://missing/raw/*").look()
    assert "SECRET" not in str(caught.value)
