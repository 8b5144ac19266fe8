"""`airside watch` as a process beside a real server: killed between two writes, several in one, dead ones noticed."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import httpx
import pytest
from tests.support.command import airside
from tests.support.up import AIRSIDE, Up, settled

from airside.coordinator import samples
from airside.events import dbt, wire

LONG_AGO = 1_790_000_000

#: Watches once, as the command does, and dies without a word when the cursor is to be written.
DIES = """
import asyncio, os, signal, sys
from pathlib import Path
from airside.agent.watching import cursors, schemes
from airside.agent.watching.loop import Loop
from airside.agent.watching.watcher import WatchOptions
from airside.sdk.emitting import emitter, settings

class Dies(cursors.CursorFile):
    def write(self, cursor):
        if cursor.get("seen"):
            os.kill(os.getpid(), signal.SIGKILL)
        super().write(cursor)

sending = settings.load()
watcher = schemes.open_watcher(sys.argv[1], WatchOptions())
file = Dies(Path(os.environ["AIRSIDE_HOME"]), watcher.name, sending.target)
asyncio.run(Loop(watcher, file, emitter.Emitter(sending)).once())
"""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Up]:
    up = Up(tmp_path / "home").start()
    yield up
    up.stop()


def environment(server: Up, **more: str) -> dict[str, str]:
    return {**os.environ, "AIRSIDE_URL": server.url, **more}


def watch(server: Up, *arguments: str, cwd: Path | None = None, **more: str) -> subprocess.CompletedProcess[str]:
    command = [AIRSIDE, "watch", *arguments]
    return subprocess.run(
        command, env=environment(server, **more), cwd=cwd, capture_output=True, text=True, timeout=60, check=False
    )


def events(server: Up, **asked: str) -> list[dict[str, Any]]:
    server.until(settled)
    with server.client() as client:
        found: list[dict[str, Any]] = client.get("/api/events", params=asked).json()["items"]
        return found


def land(path: Path, text: str = "1") -> Path:
    path.write_text(text)
    os.utime(path, (LONG_AGO, LONG_AGO))
    return path


def test_what_is_sent_by_a_watcher_that_is_killed_before_its_cursor_is_written_counts_once(
    server: Up, tmp_path: Path
) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    for number in range(20):
        land(folder / f"{number}.csv")
    url = f"file://{folder}/*.csv"
    killed = subprocess.run(
        [sys.executable, "-c", DIES, url], env=environment(server), capture_output=True, timeout=60, check=False
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    land(folder / "20.csv")
    again = watch(server, url, "--once")
    assert again.returncode == 0, again.stderr
    landed = events(server, type="file.landed", limit="100")
    assert len(landed) == len({event["id"] for event in landed}) == 21
    third = watch(server, url, "--once", "--json")
    assert (third.returncode, third.stdout) == (0, "")
    assert "0 events" in third.stderr


def test_a_watcher_that_runs_tells_of_a_file_and_of_its_own_life(server: Up, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    process = subprocess.Popen(
        [AIRSIDE, "watch", f"file://{folder}/*.csv#settle=200ms", "--name", "landing", "--json"],
        env=environment(server),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        server.until(lambda client: _count(client, type="resource.heartbeat", resource="watcher://landing") == 1)
        (folder / ".part").write_text("1")
        (folder / ".part").rename(folder / "a.csv")
        server.until(lambda client: _count(client, type="file.landed") == 1)
    finally:
        process.send_signal(signal.SIGTERM)
        out, error = process.communicate(timeout=60)
    assert process.returncode == 0, error
    assert json.loads(out)["resource"]["id"] == f"file://{folder}/a.csv"


def _count(client: httpx.Client, **asked: str) -> int:
    return len(client.get("/api/events", params=asked).json()["items"])


def test_the_watchers_of_a_file_run_side_by_side_and_one_that_fails_holds_up_none(server: Up, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "airside.toml").write_text(f"""
[[watch]]
name = "landing"
url = "file://{tmp_path}/in/*.csv#settle=100ms"
every = "200ms"

[[watch]]
name = "later"
url = "file://{tmp_path}/later/*.csv#settle=100ms"
every = "100ms"

[[watch]]
name = "api"
url = "{server.url}/health"
every = "500ms"
""")
    process = subprocess.Popen(
        [AIRSIDE, "watch", "--all"], env=environment(server), cwd=tmp_path, stderr=subprocess.PIPE, text=True
    )
    try:
        land(tmp_path / "in" / "a.csv")
        server.until(lambda client: _count(client, type="file.landed") == 1)
        server.until(lambda client: _count(client, type="watcher.failed", resource="watcher://later") == 1)
        server.until(lambda client: _count(client, type="check.*") == 1)
        (tmp_path / "later").mkdir()
        land(tmp_path / "later" / "b.csv")
        server.until(lambda client: _count(client, type="watcher.recovered", resource="watcher://later") == 1)
        server.until(lambda client: _count(client, type="file.landed") == 2)
    finally:
        process.send_signal(signal.SIGTERM)
        _, error = process.communicate(timeout=60)
    assert process.returncode == 0, error
    assert "is not there" in error
    assert len(events(server, type="watcher.failed")) == 1


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ("[[watch]]\nevery = '5s'", "number 1: `url` is missing"),
        ("[[watch]]\nurl = 'file:///data/*'\nevry = '5s'", "unknown key `evry`"),
        ("[[watch]]\nurl = 'https://host/'\ntoken_env = 'NOT_SET'", "token_env names NOT_SET"),
        ("[[watch]]\nurl = 'https://host/'\n[[watch]]\nurl = 'https://host/'", "two watchers are called https-host"),
        ("port = 1", "no .*watch.* tables"),
    ],
)
def test_a_file_that_cannot_be_meant_is_refused_before_anything_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, table: str, said: str
) -> None:
    (tmp_path / "airside.toml").write_text(table)
    monkeypatch.chdir(tmp_path)
    ran = airside("watch", "--all")
    assert ran.code == 2
    assert re.search(said, ran.err)


def test_one_url_or_all_not_both_and_not_neither() -> None:
    assert airside("watch").code == 2
    assert airside("watch", "file:///data/*", "--all").code == 2


def test_the_table_that_dbt_built_openlineage_reported_and_a_watcher_saw_is_one_resource(
    server: Up, tmp_path: Path
) -> None:
    database = tmp_path / "shop.duckdb"
    given = {"SHOP_URL": f"duckdb:///{database}"}
    url = "sql+env://SHOP_URL?table=stg_orders"
    with duckdb.connect(str(database)) as connection:
        connection.execute("CREATE TABLE stg_orders (id INTEGER)")
    assert watch(server, url, "--once", **given).returncode == 0
    with duckdb.connect(str(database)) as connection:
        connection.execute("INSERT INTO stg_orders VALUES (1)")
    seen = watch(server, url, "--once", **given)
    assert (seen.returncode, seen.stdout.split("\t")[1:2]) == (0, ["table.updated"]), seen.stderr

    lineage = {
        "eventType": "COMPLETE",
        "eventTime": "2026-11-22T06:00:00Z",
        "producer": "https://example.com/loader",
        "schemaURL": "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent",
        "run": {"runId": "0193547e-0000-7000-8000-000000000001"},
        "job": {"namespace": "jobs", "name": "load"},
        "inputs": [],
        "outputs": [{"namespace": "postgres://db:5432", "name": "Shop.Main.stg_orders"}],
    }
    results, manifest = (json.loads(samples.text(f"dbt_{name}.json")) for name in ("run_results", "manifest"))
    built = b"[" + b",".join(map(wire.encode, dbt.parse_run_results(results, manifest))) + b"]"
    with server.client() as client:
        assert client.post("/api/v1/lineage", json=lineage).is_success
        sent = client.post("/api/events", content=built, headers={"content-type": "application/json"})
        assert sent.is_success, sent.text

    updated = events(server, type="table.updated", resource="table://shop/main/stg_orders")
    assert sorted(event["source"].partition(":")[0] for event in updated) == ["dbt", "openlineage", "watch"], updated
