"""The examples do what they say, each as a program of its own."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "sdk" / "examples"
AIRSIDE = Path(sys.executable).parent / "airside"


def test_the_page_names_every_example() -> None:
    page = (EXAMPLES.parents[1] / "docs" / "examples.md").read_text()
    named = re.findall(r"^\| `(\w+\.py)` \|", page, re.MULTILINE)
    assert sorted(named) == sorted(path.name for path in EXAMPLES.glob("*.py"))


def ran(folder: Path, *command: object, code: int = 0) -> str:
    done = subprocess.run(
        [str(part) for part in command],
        env={**os.environ, "AIRSIDE_RESULTS": str(folder / "results"), "TMPDIR": str(folder)},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("hello", "Hello, world!\n"),
        ("retries", "attempt 3 fetched https://example.org/orders.csv\n"),
        ("mapping", "62375.0\n"),
        ("subflows", "part of another run: True\npart of another run: True\n20\n"),
        ("transactions", "removed again\nfailed - ValueError: too few rows\nfile exists: False\n"),
    ],
)
def test_an_example_says_what_it_promises(tmp_path: Path, name: str, said: str) -> None:
    assert ran(tmp_path, sys.executable, EXAMPLES / f"{name}.py") == said


def test_caching_across_processes(tmp_path: Path) -> None:
    program = sys.executable, EXAMPLES / "caching.py"
    assert ran(tmp_path, *program) == "computing\nreport of 2026-11-22\n"
    assert ran(tmp_path, *program) == "report of 2026-11-22\n"


def test_suspending_and_going_on_in_another_process(tmp_path: Path) -> None:
    file = EXAMPLES / "suspending.py"
    first = ran(tmp_path, sys.executable, file, code=75)
    assert first.startswith("extracting\nrun ")
    run = first.split()[-1]
    again = ran(tmp_path, AIRSIDE, "runs", "start", run, "--here", f"{file}:release", "--input", "approved=true")
    assert again == f"run {run}\nreleased 3 rows\n"
