"""Reading a file of automations on the command line."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from airside.sdk.cli import output
from airside.sdk.cli.failures import FAILED, Failure

if TYPE_CHECKING:
    from airside.triggers.model import Automation


def read(file: str) -> "tuple[Automation, ...]":
    """Read the automations of a file, or of stdin for `-`. Ends the command with every mistake and its place."""
    from airside.triggers.document import parse_file
    from airside.triggers.exceptions import InvalidDocument

    try:
        text = sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8")
    except OSError as error:
        raise Failure(f"cannot read {file}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise Failure(f"cannot read {file}: not UTF-8 text") from error
    try:
        return parse_file(text).automations
    except InvalidDocument as error:
        details = [output.plain(f"{file}:{p.line}:{p.column}: {p.message}") for p in error.problems]
        raise Failure(f"{file}: {output.count(len(details), 'mistake')}", code=FAILED, details=details) from error
