"""The page on watching: its commands run, its URLs, tables and rules are taken."""

import os
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest
from tests.support.up import AIRSIDE, Up

from airside.agent.watching import plans, schemes
from airside.agent.watching.files import address
from airside.agent.watching.http import _OPTIONS as HTTP_OPTIONS
from airside.agent.watching.sql.target import _OPTIONS as SQL_OPTIONS
from airside.agent.watching.watcher import WatchOptions
from airside.triggers import parse_file

PAGE = (Path(__file__).parents[3] / "docs" / "watching.md").read_text()
ENVIRONMENT: Mapping[str, str] = {"WAREHOUSE_URL": "postgresql://reader@host/shop", "SHOP_TOKEN": "x"}


def blocks(kind: str) -> list[str]:
    return re.findall(rf"^```{kind}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


def test_the_commands_of_the_page_put_a_file_on_the_log(tmp_path: Path) -> None:
    up = Up(tmp_path / "home").start()
    [commands] = blocks("bash")
    path = f"{Path(AIRSIDE).parent}:{os.environ['PATH']}"
    try:
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", commands.replace("http://127.0.0.1:7700", up.url)],
            cwd=tmp_path,
            env={**os.environ, "PATH": path},
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert f"file://{tmp_path}/in/orders.csv" in done.stdout
        with up.client() as client:
            [event] = client.get("/api/events", params={"type": "file.landed"}).json()["items"]
        assert event["payload"]["size"] == 5
    finally:
        up.stop()


@pytest.mark.parametrize("url", re.findall(r"^\| `([^`]*//[^`…]+)`", PAGE, re.MULTILINE))
async def test_each_url_of_the_table_is_taken(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WAREHOUSE_URL", ENVIRONMENT["WAREHOUSE_URL"])
    watcher = schemes.open_watcher(url, WatchOptions())
    await watcher.close()


def test_the_tables_of_the_page_are_taken(tmp_path: Path) -> None:
    [table] = blocks("toml")
    (tmp_path / "airside.toml").write_text(table)
    found = plans.of_file(tmp_path / "airside.toml", ENVIRONMENT)
    assert [plan.label for plan in found] == ["landing", "orders", "shop-api"]
    assert [plan.every_seconds for plan in found] == [60, 300, 30]
    assert found[2].options.token == "x"


def test_the_rule_of_the_page_is_taken() -> None:
    [rule] = blocks("yaml")
    [automation] = parse_file(rule).automations
    assert automation.name == "watcher-is-dead"


def test_every_option_and_every_key_is_on_the_page() -> None:
    written = set(re.findall(r"[`&?#]([a-z_]+)=", PAGE)) | set(re.findall(r"`([a-z_]+)`", PAGE))
    assert {*address._OPTIONS, *HTTP_OPTIONS, *SQL_OPTIONS, *plans._KEYS} <= written
