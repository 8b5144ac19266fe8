"""The page on webhooks, done as it stands there: a real server, the real command, curl and openssl."""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.up import AIRSIDE, Up, settled

PAGE = (Path(__file__).parents[2] / "docs" / "webhooks-in.md").read_text()
DELIVERY = Path(__file__).parents[1] / "data" / "hooks" / "github_workflow_run.json"
SNIPPETS = re.findall(r"^```bash\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
TEMPLATE = re.findall(r"^```yaml hook\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
DONE = {"job": "load orders", "run": 17, "state": "done", "finished": "2026-11-22T06:00:00+01:00", "rows": 42}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Up]:
    up = Up(tmp_path / "home").start()
    yield up
    up.stop()


@pytest.mark.skipif(not all(map(shutil.which, ("curl", "jq", "openssl"))), reason="the page uses curl, jq and openssl")
def test_the_page_s_commands_put_a_signed_delivery_on_the_log(server: Up, tmp_path: Path) -> None:
    (tmp_path / "delivery.json").write_bytes(DELIVERY.read_bytes())
    (tmp_path / "nightly.yaml").write_text(TEMPLATE[0])
    (tmp_path / "done.json").write_text(json.dumps(DONE))
    path = f"{Path(AIRSIDE).parent}:{os.environ['PATH']}"
    script = "set -euo pipefail\n" + "\n".join(SNIPPETS)
    done = subprocess.run(
        ["bash", "-c", script],
        cwd=tmp_path,
        env={**os.environ, "PATH": path, "AIRSIDE_URL": server.url},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    server.until(settled)
    with server.client() as client:
        (event,) = client.get("/api/events", params={"type": "job.done"}).json()["items"]
        hooks = {hook["name"]: hook["counts"]["accepted"] for hook in client.get("/api/hooks").json()["items"]}
    assert event["id"] == "nightly:17:done"
    assert event["resource"]["id"] == "job://nightly/load%20orders"
    assert event["time"].startswith("2026-11-22T05:00:00")
    assert event["payload"] == {"rows": 42}
    assert hooks == {"nightly": 1, "shop-repo": 0}


def test_the_page_names_every_key_of_a_template() -> None:
    from airside.coordinator.hooks import template

    written = set(re.findall(r"`([a-z]+)`", PAGE))
    assert set(template.KEYS) - written <= {"about", "signature"}
    assert "signature: " in TEMPLATE[0]
