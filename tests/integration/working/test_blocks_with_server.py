"""Credentials from a block: a real server, a real agent, a repository that wants a login."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.integration.working.test_storage_secrets import arguments
from tests.support import git_server
from tests.support.up import AIRSIDE, Up

SECRET = "glpat-CanaryOfTheBlocks-4711"
FLOW = """
from airside.sdk import Block, flow

@flow
def job() -> str:
    block = Block.load("code")
    print("block", block, block["token"], flush=True)
    print("the token itself", block["token"].get(), flush=True)
    return block.type
"""


@pytest.fixture
def up(tmp_path: Path) -> Iterator[Up]:
    server = Up(tmp_path / "home").start()
    yield server
    server.stop()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "served/code"
    folder.mkdir(parents=True)
    (folder / "flows.py").write_text(FLOW)
    git = ["git", "-C", str(folder), "-c", "user.name=a", "-c", "user.email=a@b"]
    for words in (["init", "-q", "-b", "main"], ["add", "."], ["commit", "-q", "-m", "one"]):
        subprocess.run([*git, *words], check=True)
    return folder


def airside(up: Up, *words: str, stdin: str = "", **environment: str) -> "subprocess.CompletedProcess[str]":
    """Run the command against the server, as somebody on its machine."""
    return subprocess.run(
        [AIRSIDE, *words],
        env={**os.environ, "AIRSIDE_URL": up.url, **environment},
        input=stdin,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


def deployment(name: str, url: str, credentials: str) -> str:
    return (
        f"name: {name}\nflow: job\nentrypoint: flows.py:job\n"
        f'storage: {{kind: git, url: "{url}/code/.git", ref: main, credentials: "{credentials}"}}\n'
    )


def ended(up: Up, name: str, **environment: str) -> dict[str, Any]:
    """Start a run, have an agent carry out what waits, and give the event of its end."""
    started = airside(up, "deployments", "run", f"job/{name}", "--json")
    assert started.returncode == 0, started.stderr
    run = json.loads(started.stdout)["id"].rpartition("/")[2]
    home = str(up.home.parent / "agent")
    told = airside(up, "agent", "start", "-q", "default", "--drain", AIRSIDE_HOME=home, **environment)
    assert told.returncode == 0, told.stderr
    assert SECRET not in told.stdout + told.stderr
    found: list[dict[str, Any]] = []

    def has_ended(client: httpx.Client) -> bool:
        for state in ("completed", "failed", "crashed"):
            events = client.get("/api/events", params={"type": f"flow_run.{state}"}).json()["items"]
            found.extend(event for event in events if run in event["resource"]["id"])
        return bool(found)

    up.until(has_ended)
    return found[0]


def written(*places: Path) -> Iterator[tuple[Path, bytes]]:
    for place in places:
        for file in place.rglob("*"):
            if file.is_file():
                yield file, file.read_bytes()


def test_an_agent_fetches_a_private_repository_with_a_block_and_its_secret_is_nowhere(
    up: Up, tmp_path: Path, repository: Path
) -> None:
    seen: list[str] = []
    with git_server.serving(repository.parent, f"deploy:{SECRET}", lambda: seen.append(arguments())) as url:
        made = airside(up, "blocks", "set", "code", "-t", "git", "username=deploy", "token=-", stdin=SECRET + "\n")
        assert (made.returncode, made.stdout) == (0, "code: git, revision 1\n"), made.stderr
        (tmp_path / "deployment.yaml").write_text(deployment("private", url, "block:code"))
        applied = airside(up, "deployments", "apply", str(tmp_path / "deployment.yaml"))
        assert applied.returncode == 0, applied.stderr
        token = airside(up, "tokens", "create", "the agent", "--role", "agent", "--json")
        text = json.loads(token.stdout)["token"]
        assert ended(up, "private", AIRSIDE_TOKEN=text)["type"] == "flow_run.completed"
    with up.client() as client:
        lines = [line["message"] for line in client.get("/api/logs").json()["items"]]
        events = client.get("/api/events/export").text
        revealed = client.get("/api/events", params={"type": "audit.block_revealed"}).json()["items"]
    assert [line for line in lines if "block" in line] == ["block <Block code (git, revision 1): username, token> ***"]
    assert [line for line in lines if "itself" in line] == ["the token itself ***"]
    who = [(event["payload"]["name"], event["payload"]["by"], event["payload"]["role"]) for event in revealed]
    assert who == [("code", "the agent", "agent")] * 2  # to fetch, then by the run itself
    assert "git" in "".join(seen)
    assert SECRET not in events + "".join(seen)
    up.stop()
    for file, content in written(up.home, tmp_path / "agent"):
        assert SECRET.encode() not in content, file
    up.start()


def test_a_block_that_is_missing_or_of_another_kind_is_said_so(up: Up, tmp_path: Path, repository: Path) -> None:
    airside(up, "blocks", "set", "bucket", "-t", "s3", "key=AKIA", "secret=-", stdin=SECRET)
    for name, said in (("nothing", "the server has no block `nothing`"), ("bucket", "must be of type git or secret")):
        (tmp_path / f"{name}.yaml").write_text(deployment(name, "http://127.0.0.1:1", f"block:{name}"))
        assert airside(up, "deployments", "apply", str(tmp_path / f"{name}.yaml")).returncode == 0
        crashed = ended(up, name)
        assert said in crashed["payload"]["message"]
        assert SECRET not in str(crashed)


def test_a_run_in_a_container_fetches_its_code_with_a_block_by_itself(up: Up, tmp_path: Path, repository: Path) -> None:
    airside(up, "blocks", "set", "code", "-t", "git", "username=deploy", "token=-", stdin=SECRET)
    with git_server.serving(repository.parent, f"deploy:{SECRET}", lambda: None) as url:
        for name, code in (("block:code", 0), ("block:none", 1)):
            storage = {"kind": "git", "url": f"{url}/code/.git", "credentials": name}
            environment = {"AIRSIDE_URL": up.url, "AIRSIDE_RUN_STORAGE": json.dumps(storage)}
            ran = subprocess.run(
                [sys.executable, "-m", "airside.agent.run_one", "flows.py:job"],
                env={**os.environ, **environment, "AIRSIDE_HOME": str(tmp_path / name), "TMPDIR": str(tmp_path)},
                capture_output=True,
                text=True,
                timeout=100,
                check=False,
            )
            assert (ran.returncode, "the server has no block `none`" in ran.stderr) == (code, bool(code)), ran.stderr
            assert ("block <Block code (git, revision 1): username, token> ***" in ran.stdout) == (code == 0)
