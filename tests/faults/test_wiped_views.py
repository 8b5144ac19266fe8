"""Views that are read in from nothing: what was posted long ago still counts once, and new events are taken at once."""

import shutil

import httpx
from tests.support.up import Up, settled

TOTAL = 60_000
NDJSON = {"content-type": "application/x-ndjson"}


def lines(first: int, count: int) -> str:
    return "\n".join(
        f'{{"id":"order-{n}","type":"order.paid","resource":"order://{n % 100}"}}' for n in range(first, first + count)
    )


def count(client: httpx.Client) -> int:
    return int(client.get("/api/events/count", params={"type": "order.paid"}).json()["count"])


def test_old_ids_wait_while_the_views_are_read_in_and_then_count_once(up: Up) -> None:
    up.start()
    with up.client() as client:
        for first in range(0, TOTAL, 20_000):
            client.post("/api/events", content=lines(first, 20_000), headers=NDJSON).raise_for_status()
    up.until(settled)
    assert up.stop() == 0
    shutil.rmtree(up.home / "views")
    up.start()
    with up.client() as client:
        refused = client.post("/api/events", content=lines(TOTAL - 10, 10), headers=NDJSON)
        assert refused.status_code == 503
        assert refused.json()["type"] == "urn:airside:problem:ids-not-known-yet"
        assert "Retry-After" in refused.headers
        ready = client.get("/ready")
        assert ready.status_code == 503
        assert "ids are being read in" in ready.text
        fresh = client.post("/api/events", json={"type": "order.opened", "resource": "order://1"})
        assert fresh.status_code == 202
    up.until(settled, 60)
    with up.client() as client:
        again = client.post("/api/events", content=lines(TOTAL - 10, 10), headers=NDJSON).json()
        assert (again["accepted"], again["duplicates"]) == (0, 10)
        assert count(client) == TOTAL
        assert client.get("/ready").status_code == 200
