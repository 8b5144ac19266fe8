"""docs/blocks.md, done as it stands there."""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.up import AIRSIDE, Up

PAGE = (Path(__file__).parents[2] / "docs/blocks.md").read_text()
SECRETS = {"GIT_TOKEN": "glpat-docs-1", "ONCALL_URL": "json://127.0.0.1:9/x", "HOOK_URL": "https://127.0.0.1:9/x"}
SECRETS |= {"HOOK_KEY": "hook-key-1", "HOOK_SECRET": "hook-secret-1"}


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    server = Up(tmp_path_factory.mktemp("docs-blocks") / "home").start()
    yield server
    server.stop()


def test_the_page_s_commands_and_programs_run_in_their_order(up: Up, tmp_path: Path) -> None:
    (tmp_path / "lake.secret").write_text("lake-secret-1\n")
    environment = {**os.environ, "AIRSIDE_URL": up.url, "AIRSIDE_HOME": str(tmp_path), **SECRETS}
    steps = re.findall(
        r"^    (airside [^\n]+)$|^```python\n(.*?)^```|^```yaml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL
    )
    assert len(steps) >= 9
    for command, program, document in steps:
        if document:
            (tmp_path / "file.yaml").write_text(document)
            words = "automations" if document.startswith("automations") else "deployments"
            arguments = [AIRSIDE, words, "apply", "file.yaml"]
        else:
            arguments = [AIRSIDE, *shlex.split(command)[1:]] if command else [sys.executable, "-c", program]
        done = subprocess.run(
            arguments, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, f"{arguments}\n{done.stdout}\n{done.stderr}"
        assert not any(secret in done.stdout + done.stderr for secret in (*SECRETS.values(), "lake-secret-1"))


def test_the_page_names_every_type_and_every_field() -> None:
    from airside.events.blocks import described

    for kind in described():
        row = next(line for line in PAGE.splitlines() if line.startswith(f"| `{kind['type']}` |"))
        for field in kind["fields"]:
            assert (f"*{field['name']}*" in row) == field["secret"], (kind["type"], field)
            assert field["name"] in row
