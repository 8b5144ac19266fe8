"""`airside demo` as a person runs it: it tells the truth, in time, and leaves nothing behind."""

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
from tests.support.up import AIRSIDE, alive

from airside.coordinator import samples
from airside.coordinator.demo import story

MAX_SECONDS = 100.0  # 15 on an idle machine


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the demo's temporary files go."""
    made = tmp_path / "tmp"
    made.mkdir()
    return made


def start(folder: Path) -> subprocess.Popen[str]:
    environment = {
        **os.environ,
        "TMPDIR": str(folder),
        "AIRSIDE_TOKEN": "somebody's",
        "AIRSIDE_URL": "http://elsewhere",
    }
    return subprocess.Popen(
        [AIRSIDE, "demo"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment, text=True, cwd=folder
    )


def nats_servers(folder: Path) -> list[int]:
    """Find the nats-servers whose configuration lies in the folder."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if b"nats-server" in command and str(folder).encode() in command and alive(int(process.name)):
            found.append(int(process.name))
    return found


@pytest.mark.slow
def test_the_demo_shows_the_missed_deadline_and_everything_it_shows_happened(folder: Path) -> None:
    demo = start(folder)
    out, err = demo.communicate(timeout=MAX_SECONDS)
    assert (demo.returncode, err) == (0, ""), out
    for part in (
        f"{story.RULE} fired",
        f"no table.updated for {story.TABLE}",
        "no events: it fired because nothing came",
        "emit check.failed",
        "its signature is good",
        f"{story.RULE} was resolved",
        "All of this happened",
        "http://127.0.0.1:7700",
    ):
        assert part in out
    assert "\x1b" not in out
    assert list(folder.iterdir()) == []
    assert nats_servers(folder) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_demo_that_is_stopped_midway_cleans_up_too(folder: Path, number: signal.Signals) -> None:
    demo = start(folder)
    assert demo.stdout is not None
    while "3. What happened" not in demo.stdout.readline():
        assert demo.poll() is None
    servers = nats_servers(folder)
    assert servers
    demo.send_signal(number)
    out, err = demo.communicate(timeout=MAX_SECONDS)
    assert (demo.returncode, err) == (130, "")
    assert "Stopping." in out
    assert list(folder.iterdir()) == []
    assert not any(alive(pid) for pid in servers)


def test_a_killed_demo_leaves_no_process(folder: Path) -> None:
    demo = start(folder)
    assert demo.stdout is not None
    while "3. What happened" not in demo.stdout.readline():
        assert demo.poll() is None
    servers = nats_servers(folder)
    demo.kill()
    demo.communicate(timeout=MAX_SECONDS)
    give_up = time.monotonic() + 60
    while any(alive(pid) for pid in servers):
        assert time.monotonic() < give_up, "the nats-server outlived the demo"
        time.sleep(0.05)


def test_the_sample_day_is_small_and_in_order() -> None:
    day = samples.day()
    assert [post.when for post in day] == sorted(post.when for post in day)
    assert {post.tool for post in day} == {"Airflow", "dbt", "OpenLineage client", "CloudEvents SDK"}
    shipped = sum(path.stat().st_size for path in Path(samples.__file__).parent.glob("*.*"))
    assert shipped < 250_000  # a tenth of that in the wheel
