"""The OpenLineage project's own Python client against a running server: TLS, an API key, gzip, its kinds of events."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.support import certificates

from airside.coordinator.server import running
from airside.coordinator.settings import ServerSettings
from airside.coordinator.tokens import Role

openlineage = pytest.importorskip("openlineage.client")
from openlineage.client import event_v2 as ol  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
RUN = "0193547e-0000-7000-8000-000000000001"
PRODUCER = "https://example.com/loader"


@dataclass
class Plane:
    """A server that wants TLS and tokens, as off loopback."""

    url: str
    ca: Path
    key: str
    admin: httpx.AsyncClient

    def client(self, key: str | None = None, **more: Any) -> Any:
        transport = {
            "type": "http",
            "url": self.url,
            "auth": {"type": "api_key", "apiKey": key or self.key},
            "sslContext": {"caCertPath": str(self.ca)},
            "retry": {"total": 0},
            **more,
        }
        return openlineage.OpenLineageClient(config={"transport": transport})

    async def emit(self, *events: Any, **more: Any) -> None:
        """Send as a job does: with the client, from a thread."""
        client = self.client(**more)

        def send() -> None:
            for event in events:
                client.emit(event)
            client.close(10)

        await asyncio.to_thread(send)

    async def events(self, **asked: str) -> list[dict[str, Any]]:
        async with asyncio.timeout(60):
            while (await self.admin.get("/api/status")).json()["views"]["lag"]:
                await asyncio.sleep(0.05)
        found: list[dict[str, Any]] = (await self.admin.get("/api/events", params=asked)).json()["items"]
        return found


@pytest.fixture
async def plane(tmp_path: Path) -> AsyncIterator[Plane]:
    certificate, key = certificates.loopback(tmp_path)
    settings = ServerSettings(home=tmp_path / "home", host="0.0.0.0", port=0, tls_cert=certificate, tls_key=key)
    async with running(settings) as (coordinator, address):
        url = address.replace("0.0.0.0", "127.0.0.1")
        _, ingest = await coordinator.tokens.create("lineage", Role.INGEST)
        _, admin = await coordinator.tokens.create("admin", Role.ADMIN)
        trusted = ssl.create_default_context(cafile=str(certificate))
        headers = {"Authorization": f"Bearer {admin}"}
        async with httpx.AsyncClient(base_url=url, verify=trusted, headers=headers, timeout=60) as client:
            yield Plane(url, certificate, ingest, client)


def run_event(state: str, minute: int, **more: Any) -> Any:
    return ol.RunEvent(
        eventTime=f"2026-11-22T06:{minute:02d}:00Z",
        eventType=getattr(ol.RunState, state),
        run=ol.Run(runId=RUN),
        job=ol.Job(namespace="jobs", name="load"),
        producer=PRODUCER,
        inputs=[ol.InputDataset(namespace="s3://lake", name="raw/orders.csv")],
        outputs=[ol.OutputDataset(namespace="postgres://db:5432", name="Shop.Mart.Orders")],
        **more,
    )


@pytest.mark.parametrize("compression", [{}, {"compression": "gzip"}])
async def test_a_run_of_the_client_is_a_run_here_and_its_output_an_updated_table(
    plane: Plane, compression: dict[str, str]
) -> None:
    states = [run_event("START", 0), run_event("RUNNING", 1), run_event("COMPLETE", 2)]
    await plane.emit(*states, **compression)
    await plane.emit(*states, **compression)  # a client that was started again
    found = await plane.events(type="openlineage.*.*")
    assert sorted(event["type"] for event in found) == [
        "openlineage.run.complete",
        "openlineage.run.running",
        "openlineage.run.start",
    ]
    [updated] = await plane.events(type="table.updated")
    assert updated["resource"]["id"] == "table://shop/mart/orders"
    [run] = (await plane.admin.get("/api/runs")).json()["items"]
    assert (run["source"], run["state"]) == ("openlineage", "completed")


async def test_a_failed_run_updates_nothing(plane: Plane) -> None:
    await plane.emit(run_event("START", 0), run_event("FAIL", 1))
    assert await plane.events(type="table.updated") == []
    [run] = (await plane.admin.get("/api/runs")).json()["items"]
    assert run["state"] == "failed"


async def test_datasets_and_jobs_can_be_described_without_a_run(plane: Plane) -> None:
    await plane.emit(
        ol.DatasetEvent(
            eventTime="2026-11-22T06:00:00Z",
            producer=PRODUCER,
            dataset=ol.StaticDataset(namespace="postgres://db:5432", name="shop.mart.orders"),
        ),
        ol.JobEvent(eventTime="2026-11-22T06:00:00Z", producer=PRODUCER, job=ol.Job(namespace="jobs", name="load")),
    )
    found = {event["type"]: event["resource"]["id"] for event in await plane.events()}
    assert found["openlineage.dataset.described"] == "table://shop/mart/orders"
    assert found["openlineage.job.described"] == "job://jobs/load"


async def test_the_client_that_sends_in_the_background_loses_nothing(
    plane: Plane, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(plane.ca))  # this transport reads no `sslContext`
    await plane.emit(run_event("START", 0), run_event("COMPLETE", 1), type="async_http", compression="gzip")
    assert len(await plane.events(type="table.updated")) == 1


async def test_a_wrong_key_is_refused_and_the_client_says_so(plane: Plane) -> None:
    with pytest.raises(Exception, match="401"):
        await plane.emit(run_event("START", 0), key="ast_wrong")
    assert await plane.events(type="openlineage.run.start") == []
