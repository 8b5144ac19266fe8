"""What other rules notice when 30,000 deadlines of one rule pass at once.

    python -m tests.bench.mass_expiry [--keys 30000] [--seconds 30]

A real `airside up`. One rule waits for 30,000 resources, of which none comes again, and emits an event for each.
Another rule calls a webhook for each ping; pings go on all the time. Shown: how fast firings were written and actions
done, and how late the webhooks of the pings were before, and from the first deadline until all was done.
"""

import argparse
import re
import statistics
import tempfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import httpx
import orjson
from tests.support.up import Up, settled

RULES = """
- name: flood
  trigger: {{absence: {{type: beat}}, every: {seconds}s, for_each: resource.id}}
  actions: [{{emit: {{type: beat.missed, resource: "{{{{ resource.id }}}}"}}}}]
- name: innocent
  trigger: {{match: {{type: ping}}}}
  actions: [{{webhook: {{url: "http://127.0.0.1:{port}/", body: {{sent: "{{{{ event.payload.sent }}}}"}}}}}}]
"""


class Receiver(BaseHTTPRequestHandler):
    arrived: ClassVar[list[tuple[float, float]]] = []  # when a ping was sent, how late its webhook came

    def do_POST(self) -> None:
        sent = float(orjson.loads(self.rfile.read(int(self.headers["content-length"])))["sent"])
        self.arrived.append((sent, time.time() - sent))
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


def counted(client: httpx.Client) -> tuple[int, int]:
    """Firings written and actions of the flood done."""
    text = client.get("/metrics").text
    fired = sum(float(n) for n in re.findall(r"^airside_firings_total\{[^}]*\} (\S+)", text, re.MULTILINE))
    acted = re.findall(r'^airside_actions_total\{kind="emit",outcome="succeeded"\} (\S+)', text, re.MULTILINE)
    return int(fired), int(sum(map(float, acted)))


def beats(first: int, count: int) -> bytes:
    return b"\n".join(b'{"type":"beat","resource":"job://n/%d"}' % n for n in range(first, first + count))


def ping(client: httpx.Client) -> None:
    client.post("/api/events", json={"type": "ping", "resource": "x://1", "payload": {"sent": str(time.time())}})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--keys", type=int, default=30_000)
    parser.add_argument("--seconds", type=int, default=30)
    parser.add_argument("--longest", type=float, default=120)
    chosen = parser.parse_args()
    receiver = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    threading.Thread(target=receiver.serve_forever, daemon=True).start()
    with tempfile.TemporaryDirectory() as folder:
        up = Up(Path(folder) / "home", {"AIRSIDE_ALLOW_PRIVATE": "127.0.0.1"}).start()
        try:
            with up.client() as client:
                measure(client, RULES.format(seconds=chosen.seconds, port=receiver.server_port), chosen)
            up.until(settled, 120)
        finally:
            up.stop()


def measure(client: httpx.Client, rules: str, chosen: argparse.Namespace) -> None:
    applied = client.post("/api/automations", content=rules, headers={"content-type": "application/yaml"})
    assert applied.is_success, applied.text
    began = time.time()
    for first in range(0, chosen.keys, 1_000):
        client.post("/api/events", content=beats(first, 1_000), headers={"content-type": "application/x-ndjson"})
    print(f"{chosen.keys:,} keys posted in {time.time() - began:.1f} s")
    expires, until = began + chosen.seconds, time.time() + chosen.seconds + chosen.longest
    fired = acted = 0
    first_firing = last_firing = 0.0
    health = []
    pings = 0
    while time.time() < until and acted < chosen.keys:
        asked = time.time()
        client.get("/health")
        health.append((asked, time.time() - asked))
        ping(client)
        pings += 1
        more, acted = counted(client)
        more -= pings
        if more > fired:
            first_firing, last_firing = first_firing or asked, time.time()
        fired = max(more, fired)
        time.sleep(max(0.0, 0.2 - (time.time() - asked)))
    ended = time.time()
    until = time.time() + 60
    while len(Receiver.arrived) < pings and time.time() < until:
        time.sleep(0.1)
    print(f"firings  {fired:,} in {last_firing - first_firing:.1f} s: {fired / (last_firing - first_firing):,.0f}/s")
    print(f"actions  {acted:,} in {ended - first_firing:.1f} s: {acted / (ended - first_firing):,.0f}/s")
    for title, start, end in (("before", 0.0, expires - 1), ("meanwhile", expires, ended)):
        late = [late for sent, late in Receiver.arrived if start <= sent < end] or [0.0]
        healthy = [took for asked, took in health if start <= asked < end] or [0.0]
        print(
            f"{title:9} innocent webhooks late by {statistics.median(late):.2f} s (median), {max(late):.2f} s at most;"
            f" /health {max(healthy):.2f} s at most"
        )
    print(f"{len(Receiver.arrived)} of {pings} innocent webhooks arrived")


if __name__ == "__main__":
    main()
