"""Programs that emit, as processes of their own, and what the server then holds."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import httpx
from tests.support.up import Up


def program(code: str, home: Path, url: str, **environment: str) -> "subprocess.Popen[str]":
    """Start a Python program with `from airside.sdk import …` done."""
    head = "import os, sys, time, signal\nfrom airside.sdk import emit, flush, emit_stats, heartbeat\n"
    return subprocess.Popen(
        [sys.executable, "-c", head + textwrap.dedent(code)],
        env={**os.environ, "AIRSIDE_HOME": str(home), "AIRSIDE_URL": url, **environment},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run(code: str, home: Path, url: str, **environment: str) -> tuple[str, str]:
    """Run a program to its end; gives what it said on stdout and stderr."""
    process = program(code, home, url, **environment)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    return out, err


def events(client: httpx.Client, **query: Any) -> list[dict[str, Any]]:
    """Read events from the server in the order of the log."""
    found: list[dict[str, Any]] = []
    cursor: dict[str, str] = {}
    while True:
        page = client.get("/api/events", params={"limit": 1_000, **query, **cursor}).raise_for_status().json()
        found += page["items"]
        if not page["next"]:
            return sorted(found, key=lambda event: event["position"])
        cursor = {"cursor": page["next"]}


def numbers(client: httpx.Client, resource: str) -> list[int]:
    """Read the numbers that a program counted in its payloads, in the order of the log."""
    return [event["payload"]["n"] for event in events(client, resource=resource)]


def until_numbers(up: Up, resource: str, count: int, seconds: float = 60.0) -> list[int]:
    """Wait until the server shows so many events of a resource; gives their numbers."""
    up.until(lambda client: len(events(client, resource=resource)) >= count, seconds)
    with up.client() as client:
        return numbers(client, resource)


def segments(home: Path) -> list[Path]:
    """List the files in which events wait."""
    return sorted(p for p in home.glob("spool/*/*.jsonl") if p.name not in ("refused.jsonl", "corrupt.jsonl"))
