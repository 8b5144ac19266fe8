"""An agent that watches beside its work: one process, one token with only the agent's rights, a real server."""

import signal
import sqlite3
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.support.command import airside
from tests.support.flow_process import wait
from tests.support.up import AIRSIDE, Up

FLOW = """
from airside.sdk import flow

@flow
def hello() -> str:
    return "moon"
"""
WATCH = """
[[watch]]
name = "landing"
url = "file://{folder}/in/*.csv#settle=100ms"
every = "200ms"

[[watch]]
name = "orders"
url = "sql+env://SHOP_URL?table=orders&count=yes"
every = "200ms"

[[watch]]
name = "missing"
url = "sql+env://SHOP_URL?table=nowhere&count=yes"
every = "200ms"
"""


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    server = Up(tmp_path_factory.mktemp("watching-agent") / "home").start()
    yield server
    server.stop()


def events(client: httpx.Client, event_type: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = client.get("/api/events", params={"type": event_type}).json()["items"]
    return found


def shop(folder: Path, rows: int) -> None:
    with sqlite3.connect(folder / "shop.db") as database:
        database.execute("CREATE TABLE IF NOT EXISTS orders (n INTEGER)")
        database.executemany("INSERT INTO orders VALUES (?)", [(n,) for n in range(rows)])


@pytest.mark.slow
def test_files_and_tables_are_watched_beside_the_runs_that_it_carries_out(
    up: Up, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRSIDE_URL", up.url)
    token = airside("tokens", "create", "etl", "--role", "agent", "--json").json["token"]
    (tmp_path / "in").mkdir()
    (tmp_path / "hello.py").write_text(FLOW)
    (tmp_path / "watchers.toml").write_text(WATCH.format(folder=tmp_path))
    shop(tmp_path, 3)
    monkeypatch.setenv("AIRSIDE_HOME", str(tmp_path / "agent-home"))
    monkeypatch.setenv("SHOP_URL", f"sqlite:///{tmp_path}/shop.db")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AIRSIDE_TOKEN", token)
    agent = subprocess.Popen(
        [AIRSIDE, "agent", "start", "-q", "default", "--name", "etl-1", "--watch", "watchers.toml"],
        stderr=subprocess.PIPE,
        text=True,
    )
    monkeypatch.delenv("AIRSIDE_TOKEN")
    try:
        with up.client() as client:
            assert airside("deployments", "build", "hello.py:hello", "-n", "prod").code == 0
            assert airside("deployments", "apply", "deployment.yaml").code == 0
            wait(
                lambda: {one["resource"]["id"] for one in events(client, "resource.heartbeat")} >= {"watcher://orders"}
            )
            (tmp_path / "in" / "orders.csv").write_text("1,42\n")
            shop(tmp_path, 2)
            ran = airside("deployments", "run", "hello/prod", "--wait", "60s", "--json")
            assert ran.json["state"] == "completed"
            (landed,) = wait(lambda: events(client, "file.landed"))
            (updated,) = wait(lambda: events(client, "table.updated"))
            assert landed["resource"]["id"] == f"file://{tmp_path}/in/orders.csv"
            assert updated["payload"]["rows"] == 5
            blind = wait(lambda: events(client, "watcher.failed"))
            assert [one["resource"]["id"] for one in blind] == ["watcher://missing"]

            def told() -> list[dict[str, Any]]:
                (found,) = client.get("/api/agents").json()["items"]
                watchers: list[dict[str, Any]] = found["watchers"]
                return watchers if sum(one["events"] for one in watchers) == 2 else []

            listed = {one["name"]: one for one in wait(told, 40)}
            assert "nowhere" in listed["missing"]["trouble"]
            assert (listed["orders"]["trouble"], listed["landing"]["events"]) == ("", 1)
            row = airside("agents", "ls").rows[1]
            assert row[0] == "etl-1"
            assert "landing, orders, missing (blind)" in " ".join(row)
            assert "sqlite:" not in client.get("/api/agents").text + client.get("/api/events?limit=200").text
    finally:
        agent.send_signal(signal.SIGINT)
        _, said = agent.communicate(timeout=60)
    assert agent.returncode == 0, said
    assert "is seen again" not in said
    assert token not in said


def test_a_file_that_is_wrong_is_said_before_anything_starts(
    up: Up, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRSIDE_URL", up.url)
    wrong = tmp_path / "wrong.toml"
    wrong.write_text("[[watch]]\nurl = 'nothing://x'\nevry = '1m'\n")
    refused = airside("agent", "start", "-q", "default", "--watch", str(wrong))
    assert refused.code == 2
    assert "unknown key `evry`" in refused.err
    assert airside("agent", "start", "-q", "default", "--watch", str(tmp_path / "none.toml")).code == 2
