"""docs/limits.md, docs/logs.md and the examples of runners and limits, done as they stand there."""

import importlib.util
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from tests.support.command import airside
from tests.support.emitting import events
from tests.support.up import Up

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "sdk/examples"


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    server = Up(tmp_path_factory.mktemp("docs-limits") / "home").start()
    yield server
    server.stop()


def snippets(page: str) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```", (ROOT / "docs" / page).read_text(), re.MULTILINE | re.DOTALL)


def program(file: Path, home: Path, url: str = "") -> "subprocess.Popen[str]":
    environment = {**os.environ, "AIRSIDE_HOME": str(home)} | ({"AIRSIDE_URL": url} if url else {})
    return subprocess.Popen(
        [sys.executable, str(file)], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def said(process: "subprocess.Popen[str]") -> str:
    out, err = process.communicate(timeout=100)
    assert process.returncode == 0, err
    return out


@pytest.mark.parametrize("page", ["limits.md", "logs.md"])
@pytest.mark.parametrize("with_server", [True, False])
def test_each_snippet_runs_with_and_without_a_server(up: Up, tmp_path: Path, page: str, with_server: bool) -> None:
    if with_server:
        with up.client() as client:
            client.put("/api/limits/warehouse", json={"slots": 4}).raise_for_status()
    assert snippets(page)
    for number, snippet in enumerate(snippets(page)):
        file = tmp_path / f"snippet_{number}.py"
        file.write_text(snippet)
        said(program(file, tmp_path, up.url if with_server else ""))


def test_what_a_flow_logs_is_read_by_the_command(up: Up, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRSIDE_URL", up.url)
    file = tmp_path / "nightly.py"
    file.write_text(snippets("logs.md")[0])
    said(program(file, tmp_path, up.url))
    deadline = time.monotonic() + 60
    while len(found := airside("runs", "logs", "--since", "1h", "--contains", "rows", "--json").out.splitlines()) < 1:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    run = re.search(r"run://airside/([0-9a-f-]+)", found[-1])
    assert run is not None
    shown = airside("runs", "logs", run[1]).out
    assert "| 2,000 rows loaded" in shown
    assert "| this line too" in shown
    assert re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}[+-]\d\d:\d\d INFO", shown)
    followed = airside("runs", "logs", run[1], "-f", "--utc")
    assert (followed.code, len(followed.out.splitlines())) == (0, 2)
    assert airside("runs", "logs", run[1], "--level", "loud").code == 1
    assert airside("runs", "logs", "-f").code == 2


@pytest.mark.parametrize(
    ("name", "needs"),
    [("processes", "pickle"), ("on_dask", "distributed"), pytest.param("on_ray", "ray", marks=pytest.mark.ray)],
)
def test_five_hundred_items_on_each_runner(tmp_path: Path, name: str, needs: str) -> None:
    if importlib.util.find_spec(needs) is None:
        pytest.skip(f"{needs} is not installed")
    assert said(program(EXAMPLES / f"{name}.py", tmp_path)).split() == ["95"]


def test_two_processes_share_a_limit(up: Up, tmp_path: Path) -> None:
    with up.client() as client:
        client.put("/api/limits/warehouse", json={"slots": 1}).raise_for_status()
    both = [program(EXAMPLES / "shared_limit.py", tmp_path / str(number), up.url) for number in range(2)]
    for process in both:
        said(process)
    up.until(lambda client: len(events(client, type="part.loaded")) == 6)
    with up.client() as client:
        spans = sorted((e["payload"]["began"], e["payload"]["ended"]) for e in events(client, type="part.loaded"))
    assert all(one[1] <= next_one[0] for one, next_one in pairwise(spans))
