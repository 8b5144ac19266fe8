"""kill -9 around what automations do to the plane: each action takes effect once, and comes to one end."""

import random
import threading
import time
from typing import Any

import httpx
import pytest
from tests.support.up import Up, settled

KEYS = 6
KILLS = 6
SEED = 20261122
RULE = """
- name: act
  trigger: {match: {type: go.ahead}, for_each: resource.id}
  actions:
    - start_run: {deployment: "work/on-{{ event.payload.n }}"}
    - cancel_run: {run: "{{ event.payload.to_cancel }}", reason: told}
    - pause_run: {run: "{{ event.payload.to_pause }}"}
    - resume_run: {run: "{{ event.payload.to_resume }}"}
    - retry_run: {run: "{{ event.payload.to_retry }}"}
    - set_run_state: {run: "{{ event.payload.to_set }}", state: failed}
    - pause_deployment: {deployment: "work/on-{{ event.payload.n }}"}
    - resume_deployment: {deployment: "work/off-{{ event.payload.n }}"}
    - pause_queue: {queue: "on-{{ event.payload.n }}"}
    - resume_queue: {queue: "off-{{ event.payload.n }}"}
    - limit: {queue: "few-{{ event.payload.n }}", slots: 2}
    - limit: {name: "shared-{{ event.payload.n }}", slots: "{{ event.payload.n }}"}
    - enable_automation: {automation: "off-{{ event.payload.n }}"}
    - disable_automation: {automation: "on-{{ event.payload.n }}"}
"""
ACTIONS = RULE.count("    - ")
RUNS = ("to_cancel", "to_pause", "to_resume", "to_retry", "to_set")
MADE_BY_ACTIONS = """
    SELECT json_extract_string(payload, '$.action') AS action, count(DISTINCT id), any_value(type), any_value(causes)
    FROM events WHERE NOT starts_with(type, 'action.') AND json_extract_string(payload, '$.action') IS NOT NULL
    GROUP BY 1
"""
ENDS = """
    SELECT id, count(*), any_value(type), any_value(payload) FROM events
    WHERE type IN ('action.succeeded', 'action.failed') GROUP BY 1
"""


def rows(client: httpx.Client, sql: str) -> list[list[Any]]:
    answer = client.post("/api/query", json={"sql": sql})
    answer.raise_for_status()
    found: list[list[Any]] = answer.json()["rows"]
    return found


def propose(client: httpx.Client, run: str, *states: str) -> None:
    for expected, state in enumerate(states, start=1):
        client.post(f"/api/runs/{run}/states", json={"state": state, "expected": expected}).raise_for_status()


def prepare(client: httpx.Client, n: int) -> dict[str, Any]:
    """Make what the actions of one key act on, each as it is not to be; give the event's payload."""
    for name in ("on", "off"):
        client.post("/api/deployments", json={"name": f"{name}-{n}", "flow": "work", "entrypoint": "f.py:work"})
        quiet = {"match": {"type": f"never.{name}"}}
        rule = {"name": f"{name}-{n}", "trigger": quiet, "actions": [{"emit": {"type": "a.b", "resource": "x://y"}}]}
        client.post("/api/automations", json={"automations": [rule]}).raise_for_status()
    client.post("/api/queues/few-1/limit", json={"limit": 9})
    client.post(f"/api/queues/off-{n}/pause").raise_for_status()
    payload: dict[str, Any] = {"n": n}
    for name in RUNS:
        answer = client.post(f"/api/deployments/work/on-{n}/run", json={})
        payload[name] = answer.json()["id"]
    client.post(f"/api/runs/{payload['to_resume']}/pause").raise_for_status()
    propose(client, payload["to_retry"], "running", "failed")
    propose(client, payload["to_set"], "running", "crashed")
    client.post(f"/api/deployments/work/off-{n}/pause").raise_for_status()
    client.post(f"/api/automations/off-{n}/disable").raise_for_status()
    return payload


def send(up: Up, payloads: list[dict[str, Any]], sent: list[int]) -> None:
    """Post each event until it is taken, whatever happens to the server."""
    for payload in payloads:
        event = {"id": f"go-{payload['n']}", "type": "go.ahead", "payload": payload}
        while True:
            try:
                with up.client() as client:
                    posted = client.post("/api/events", json={**event, "resource": f"go://{payload['n']}"})
                    posted.raise_for_status()
                break
            except httpx.HTTPError:
                time.sleep(0.05)
        sent.append(payload["n"])


@pytest.mark.timeout(400)
def test_kill_9_at_random_moments_around_actions_of_every_kind(up: Up) -> None:
    chance = random.Random(SEED)
    up.start()
    with up.client() as client:
        payloads = [prepare(client, n) for n in range(1, KEYS + 1)]
        headers = {"content-type": "application/yaml"}
        client.post("/api/automations", content=RULE, headers=headers).raise_for_status()
    sent: list[int] = []
    sender = threading.Thread(target=send, args=(up, payloads, sent))
    sender.start()
    for kill in range(KILLS):
        while len(sent) <= kill * KEYS // KILLS and sender.is_alive():
            time.sleep(0.001)
        threading.Event().wait(chance.uniform(0, 0.25))
        up.kill()
        up.start()
    sender.join(60)
    assert sent == list(range(1, KEYS + 1))

    def over(client: httpx.Client) -> bool:
        return len(rows(client, ENDS)) >= KEYS * ACTIONS

    up.until(over, 90)
    up.until(settled)
    with up.client() as client:
        ends, made = rows(client, ENDS), rows(client, MADE_BY_ACTIONS)
        firings = {one["id"] for one in client.get("/api/firings", params={"limit": 100}).json()["items"]}
        waiting = rows(client, "SELECT count(*) FROM runs WHERE state IN ('scheduled', 'late')")
    assert len(firings) == KEYS
    actions = {f"{firing}.{index}" for firing in firings for index in range(ACTIONS)}
    assert {end[0] for end in ends} == actions
    assert [end for end in ends if end[1] != 1 or end[2] != "action.succeeded"] == []
    assert {one[0] for one in made} == actions
    assert [one for one in made if one[1] != 1] == []
    assert [one for one in made if one[0].rpartition(".")[0] not in str(one[3])] == []
    assert waiting == [[3 * KEYS]]  # those that were started, resumed and retried
    assert up.stop() == 0
