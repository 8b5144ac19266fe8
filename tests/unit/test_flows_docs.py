"""The Python on the page about flows does what it says."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "flows.md"
BLOCKS = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("number", range(len(BLOCKS)))
def test_a_snippet_runs(number: int, tmp_path: Path) -> None:
    path = tmp_path / "snippet.py"
    path.write_text(BLOCKS[number])
    environment = {**os.environ, "AIRSIDE_RESULTS": str(tmp_path / "results")}
    done = subprocess.run(
        [sys.executable, "-W", "error", path], env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
