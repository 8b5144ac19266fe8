"""`airside agent discover` as it is used: what it finds is written, read, and watched by an agent."""

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.support.command import airside
from tests.support.flow_process import wait
from tests.support.up import AIRSIDE, Up

boto3 = pytest.importorskip("boto3")
moto_server = pytest.importorskip("moto.server")
pytest.importorskip("s3fs")
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
PASSWORD = "hunter2-secret"


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[object]:
    moto = moto_server.ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    moto.start()
    host, port = moto.get_host_and_port()
    for name, value in {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": PASSWORD,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_CONFIG_FILE": str(tmp_path / "none"),
        "AWS_EC2_METADATA_DISABLED": "true",
    }.items():
        monkeypatch.setenv(name, value)
    httpx.post(f"http://{host}:{port}/moto-api/reset")  # what it holds is the process's
    client = boto3.client("s3")
    client.create_bucket(Bucket="lake")
    yield client
    client.close()
    moto.stop()


@pytest.fixture
def up(tmp_path: Path) -> Iterator[Up]:
    server = Up(tmp_path / "server").start()
    yield server
    server.stop()


def all_told_of(client: httpx.Client, resources: set[str]) -> list[dict[str, Any]]:
    """Give what was discovered, once the views have all of these."""
    found: list[dict[str, Any]] = client.get("/api/events", params={"type": "resource.discovered"}).json()["items"]
    return found if {one["resource"]["id"] for one in found} >= resources else []


def test_what_is_discovered_is_written_to_a_file_that_an_agent_watches(
    bucket: object, up: Up, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("LANDING", "s3://lake/raw")
    monkeypatch.setenv("WAREHOUSE_URL", f"postgresql://reader:{PASSWORD}@db.example/shop")
    monkeypatch.setenv("AIRSIDE_URL", "http://127.0.0.1:1")  # nobody answers, and nobody is asked
    side = tmp_path / "side"
    side.mkdir()
    monkeypatch.chdir(side)
    (side / "shop").mkdir()
    (side / "shop/dbt_project.yml").write_text("name: shop\n")
    listed = airside("agent", "discover", "--json")
    assert listed.code == 0, listed.err
    found = {(one["kind"], one["what"]) for one in listed.json}
    assert found >= {("dbt", "project shop"), ("bucket", "s3://lake/raw/"), ("database", "postgresql")}
    assert list(side.iterdir()) == [side / "shop"]
    told = airside("agent", "discover", "-o", "watchers.toml")
    assert "airside agent start --watch watchers.toml" in told.err
    assert PASSWORD not in listed.out + told.out + (side / "watchers.toml").read_text()
    assert "is there already" in airside("agent", "discover", "-o", "watchers.toml").err
    assert "is no folder" in airside("agent", "discover", "nowhere").err

    environment = {**os.environ, "AIRSIDE_URL": up.url, "AIRSIDE_HOME": str(tmp_path / "agent")}
    monkeypatch.setenv("AIRSIDE_URL", up.url)
    with up.client() as client:
        assert client.get("/api/events", params={"type": "resource.discovered"}).json()["items"] == []
        assert "and knew 0" in airside("agent", "discover", "--report").err
        again = airside("agent", "discover", "--report").err
        assert "the server was told of 0 things" in again
        told_of = wait(lambda: all_told_of(client, {"dbt://shop", "s3://lake/raw", "database://warehouse_url"}))
    assert not any(word in str(told_of) for word in (PASSWORD, "db.example", str(tmp_path)))
    command = [AIRSIDE, "agent", "start", "--watch", "watchers.toml"]
    agent = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
    try:
        with up.client() as client:
            wait(lambda: client.get("/api/events", params={"type": "resource.heartbeat"}).json()["items"])
            bucket.put_object(Bucket="lake", Key="raw/orders.csv", Body=b"1,42")  # type: ignore[attr-defined]
            (landed,) = wait(lambda: client.get("/api/events", params={"type": "file.landed"}).json()["items"])
        assert landed["resource"]["id"] == "s3://lake/raw/orders.csv"
    finally:
        agent.send_signal(signal.SIGINT)
        _, said = agent.communicate(timeout=30)
    assert agent.returncode == 0, said
