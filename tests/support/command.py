"""The `airside` command in this process: quick to run, with what it printed and its exit code."""

import contextlib
import io
import json
import sys
from dataclasses import dataclass
from typing import Any

from airside.sdk.cli import main


@dataclass(frozen=True)
class Ran:
    """What one run of the command gave."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def rows(self) -> list[list[str]]:
        return [line.split("\t") for line in self.out.splitlines()]


def airside(*arguments: str, stdin: str = "") -> Ran:
    """Run the command as in a pipe: no terminal on either side."""
    written, err, before = io.BytesIO(), io.StringIO(), sys.stdin
    out = io.TextIOWrapper(written, encoding="utf-8", newline="", write_through=True)
    sys.stdin = io.TextIOWrapper(io.BytesIO(stdin.encode()), encoding="utf-8")
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            main(list(arguments))
    except SystemExit as end:
        return Ran(int(end.code or 0), written.getvalue().decode(), err.getvalue())
    finally:
        sys.stdin = before
    raise AssertionError("the command must exit")
