"""`airside automations lint`: every mistake of a file, with line and column, without a server."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from airside.sdk.cli import options, output, tree
from airside.sdk.cli.failures import CANNOT, FAILED

if TYPE_CHECKING:
    from airside.coordinator import linting


def lint(
    files: Annotated[list[str], typer.Argument(metavar="FILE...", help="YAML files; `-` reads stdin.")],
    *,
    online: Annotated[
        bool,
        typer.Option(
            "--online", help="Ask the server too: was what is expected ever seen, and has it what the actions need?"
        ),
    ] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Exit 1 on warnings too.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Check files of automations. Exit code 1 when there is a mistake. Needs no server, but for `--online`."""
    from airside.coordinator import linting

    findings: list[linting.Finding] = []
    unread = 0
    for file in files:
        try:
            text = sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
            output.note(f"error: cannot read {file}: {reason}")
            unread += 1
            continue
        found = linting.findings(file, text)
        if online and not any(each.level == "error" for each in found):
            found += _on_the_server(file, text)
        findings += sorted(found)
    if as_json:
        output.as_json([finding.to_dict() for finding in findings])
    else:
        for finding in findings:
            output.line(output.plain(str(finding)))
    errors = sum(finding.level == "error" for finding in findings)
    warnings = len(findings) - errors
    if unread < len(files):
        output.note(_summary(len(files) - unread, errors, warnings))
    if not linting.knows_actions():
        output.note("the texts of actions were not checked: pip install 'airside[server]'")
    if unread:
        raise typer.Exit(CANNOT)
    if errors or (strict and warnings):
        raise typer.Exit(FAILED)


lint.epilog = tree.examples(  # type: ignore[attr-defined]
    "airside automations lint automations.yaml",
    "airside automations lint rules/*.yaml --strict",
    "airside automations lint rules/*.yaml --online",
)


def _on_the_server(file: str, text: str) -> "list[linting.Finding]":
    """Ask the server about the types that a file's absences wait for, and about what its actions need there."""
    from airside.coordinator import linting
    from airside.sdk.exceptions import Refused

    with options.connect() as client:
        found = linting.never_seen(
            file, text, lambda types: int(client.get("/api/events/count", {"type": list(types)})["count"])
        )
        try:
            answer = client.request(
                "POST",
                "/api/automations",
                parameters={"dry_run": "true"},
                content=text.encode(),
                headers={"Content-Type": "application/yaml"},
            )
        except Refused as error:
            output.note(f"what the actions need on the server was not checked: {output.plain(str(error))}")
            return found
    return found + linting.lacking(file, text, answer["warnings"])


def _summary(files: int, errors: int, warnings: int) -> str:
    if not errors and not warnings:
        return f"{output.count(files, 'file')}, no problems"
    return f"{output.count(errors, 'error')}, {output.count(warnings, 'warning')} in {output.count(files, 'file')}"
