"""Secrets of blocks, used and misused in every way, and then looked for in all that a server leaves behind."""

import base64
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from tests.support.command import airside
from tests.support.receiver import http, receiver
from tests.support.up import AIRSIDE, Up

CANARY = "CanaryEverywhere-4711"
RULES = """
automations:
  - name: calls
    trigger: {match: {type: table.updated}}
    actions:
      - webhook: {url: "block:pager"}
      - webhook: {url: "block:closed"}
      - notify: {to: "block:people", title: "{{ event.resource.name }} is there"}
      - notify: {to: "block:nobody", title: x}
"""
#: A flow that logs a secret, and fails with it in its error.
FLOW = """
from airside.sdk import Block, flow, get_run_logger, task

@task
def use(block):
    get_run_logger().warning("the token is %s", block["token"].get())
    raise RuntimeError(f"cannot log in with {block['token'].get()}")

@flow
def nightly():
    use(Block.load("code"))

nightly()
"""


@pytest.fixture
def up(tmp_path: Path) -> Iterator[Up]:
    """A server at its most talkative, that talks into a file."""
    command = [AIRSIDE, "up", "--home", str(tmp_path / "home"), "--port", "0", "--verbose"]
    said = tmp_path / "server.log"
    with said.open("wb") as out:
        environment = {**os.environ, "AIRSIDE_ALLOW_PRIVATE": "127.0.0.1"}
        process = subprocess.Popen(command, stdout=out, stderr=out, env=environment)
    try:
        deadline = time.monotonic() + 60
        while "Ctrl-C" not in said.read_text():
            assert process.poll() is None, said.read_text()
            assert time.monotonic() < deadline, said.read_text()
            time.sleep(0.05)
        yield Up(tmp_path / "home", url=re.findall(r"API and page +(\S+)", said.read_text())[0], process=process)
    finally:
        process.terminate()
        process.wait(60)


def forms(secret: str) -> list[bytes]:
    """Give a secret as it may be written: plain, in base64 at any offset, in hexadecimal digits, backwards."""
    raw = secret.encode()
    shifted = [base64.b64encode(b"\0" * shift + raw)[4 : 4 * (len(raw) // 3)] for shift in range(3)]
    return [raw, *shifted, raw.hex().encode(), raw[::-1]]


def with_secrets(client: httpx.Client, pager: str) -> None:
    blocks = {
        "pager": ("webhook", {"url": f"{pager}/{CANARY}", "headers": {"X-Key": CANARY}, "secret": CANARY}),
        "closed": ("webhook", {"url": f"http://127.0.0.1:9/{CANARY}", "headers": {"Authorization": CANARY}}),
        "people": ("notify", {"url": f"{pager.replace('http', 'json')}/{CANARY}"}),
        "code": ("git", {"username": "me", "token": CANARY}),
    }
    for name, (kind, fields) in blocks.items():
        client.put(f"/api/blocks/{name}", json={"type": kind, "fields": fields}).raise_for_status()
        client.post(f"/api/blocks/{name}/reveal").raise_for_status()
    for bad in ({"type": "git", "fields": {"token": [CANARY]}}, {"type": "webhook", "fields": {"url": CANARY}}):
        assert client.put("/api/blocks/bad", json=bad).status_code == 422
    client.put("/api/blocks/bad", content=f'{{"type": "git", "fields": {{"token": "{CANARY}"')


async def test_a_secret_is_in_no_file_of_the_server_no_answer_no_event_and_no_message(
    up: Up, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("apprise")
    async with receiver(http(400, f"I know {CANARY}".encode())) as target:
        monkeypatch.setenv("AIRSIDE_URL", up.url)
        (tmp_path / "rules.yaml").write_text(RULES)
        with up.client() as client:
            with_secrets(client, target.url)
            assert airside("automations", "apply", str(tmp_path / "rules.yaml")).code == 0
            event = {"type": "table.updated", "resource": "table://sales"}
            client.post("/api/events", json=event).raise_for_status()
            await target.wait_for(2)
            ran = subprocess.run(
                [sys.executable, "-c", FLOW],
                env={**os.environ, "AIRSIDE_HOME": str(tmp_path / "flow")},
                capture_output=True,
                text=True,
                timeout=60,
                check=False,
            )
            assert "cannot log in" in ran.stderr  # its own terminal is its own business
            up.until(lambda client: "answered 400" in client.get("/api/events?type=action.failed").text)
            up.until(lambda client: "cannot log in with ***" in client.get("/api/events?type=flow_run.failed").text)
            up.until(lambda client: "the token is ***" in client.get("/api/logs").text)
            told = [client.get("/api/events/export").text, client.get("/api/logs").text]
            told += [client.get(path).text for path in ("/api/blocks", "/api/firings", "/api/runs", "/metrics")]
            rows = {"sql": "SELECT * FROM events", "limit": 1_000}
            told += [client.post("/api/query", json=rows).text]
    assert {request.path for request in target.received} == {f"/{CANARY}"}
    assert "block:pager" in told[0]
    assert up.process is not None
    up.process.terminate()
    assert up.process.wait(60) == 0
    files = [file for place in ("home", "flow") for file in (tmp_path / place).rglob("*") if file.is_file()]
    assert {"views.duckdb", "blocks.key"} <= {file.name for file in files}
    everything = {str(file): file.read_bytes() for file in [*files, tmp_path / "server.log"]}
    everything |= {f"answer {number}": text.encode() for number, text in enumerate(told)}
    assert b"audit.block_revealed" in b"".join(everything.values())
    for form in forms(CANARY):
        assert [name for name, content in everything.items() if form in content] == []
