"""How fast the actions of thousands of firings at once are carried out.

    python -m tests.bench.mass_actions [--firings 4000 20000] [--kind emit]

A real `airside up` for each number. A rule with `for_each` fires for each of so many events that are posted at once;
its action emits an event, or starts a run. Shown: actions a second from the first post until the last outcome was
recorded, when all of it was in the views, the CPU seconds of plane and broker per thousand, and beside it how many
events posted one after the other the same server takes, so that figures of different hours can be compared.
"""

import argparse
import os
import re
import tempfile
import time
from pathlib import Path

import httpx
from tests.support.up import Up, settled

_ACTIONS = {
    "emit": 'emit: {type: thing.done, resource: "{{ resource.id }}"}',
    "start_run": "start_run: {deployment: work/nightly}",
}
_RULE = """
- name: flood
  trigger: {{match: {{type: thing.due}}, for_each: resource.id}}
  actions: [{{{action}}}]
"""
_SINGLE_POSTS = 200
_TICKS = os.sysconf("SC_CLK_TCK")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--firings", type=int, nargs="+", default=[4_000, 20_000])
    parser.add_argument("--kind", choices=sorted(_ACTIONS), default="emit")
    parser.add_argument("--longest", type=float, default=600)
    chosen = parser.parse_args()
    for count in chosen.firings:
        with tempfile.TemporaryDirectory() as folder:
            up = Up(Path(folder) / "home").start()
            try:
                _measure(up, count, chosen.kind, chosen.longest)
            finally:
                up.stop()


def _measure(up: Up, count: int, kind: str, longest: float) -> None:
    with up.client() as client:
        raw = _single_posts(client)
        client.post("/api/deployments", json={"name": "nightly", "flow": "work", "entrypoint": "f.py:work"})
        rule = _RULE.format(action=_ACTIONS[kind])
        client.post("/api/automations", content=rule, headers={"content-type": "application/yaml"}).raise_for_status()
        up.until(settled)
        used = _cpu(up)
        began = time.monotonic()
        for first in range(0, count, 1_000):
            body = b"\n".join(
                b'{"type":"thing.due","resource":"job://n/%d"}' % n for n in range(first, min(count, first + 1_000))
            )
            client.post("/api/events", content=body, headers={"content-type": "application/x-ndjson"})
        posted = time.monotonic() - began
        done = 0
        while done < count and time.monotonic() - began < longest:
            time.sleep(0.25)
            done = _done(client, kind)
        took = time.monotonic() - began
        used = _cpu(up) - used
        effect = "thing.done" if kind == "emit" else "flow_run.scheduled"
        while min(_count(client, "action.succeeded"), _count(client, effect)) < done:
            assert time.monotonic() - began < longest, "the views do not show all in time"
            time.sleep(0.5)
        seen = time.monotonic() - began
    print(
        f"{done:,} of {count:,} {kind} in {took:.1f} s (posting took {posted:.1f} s): {done / took:,.0f}/s,"
        f" {done / took / raw:.2f} of {raw:,.0f} single posts a second;"
        f" all in the views after {seen:.1f} s; {1_000 * used / max(1, done):.1f} CPU seconds per thousand"
    )


def _done(client: httpx.Client, kind: str) -> int:
    pattern = rf'^airside_actions_total\{{kind="{kind}",outcome="succeeded"\}} (\S+)'
    return int(sum(map(float, re.findall(pattern, client.get("/metrics").text, re.MULTILINE))))


def _count(client: httpx.Client, event_type: str) -> int:
    sql = f"SELECT count(DISTINCT id) FROM events WHERE type = '{event_type}'"
    answer = client.post("/api/query", json={"sql": sql})
    answer.raise_for_status()
    return int(answer.json()["rows"][0][0])


def _cpu(up: Up) -> float:
    """CPU seconds of the server and of its children so far."""
    assert up.process is not None
    pids = {up.process.pid}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            if int(stat.read_text().rpartition(")")[2].split()[1]) in pids:
                pids.add(int(stat.parent.name))
        except OSError:
            continue
    used = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        used += int(fields[11]) + int(fields[12])
    return used / _TICKS


def _single_posts(client: httpx.Client) -> float:
    """Give how many events a second the server takes one after the other, each synced to disk."""
    began = time.monotonic()
    for _ in range(_SINGLE_POSTS):
        client.post("/api/events", json={"type": "noise", "resource": "x://1"}).raise_for_status()
    return _SINGLE_POSTS / (time.monotonic() - began)


if __name__ == "__main__":
    main()
