"""`airside automations import`: Prefect's automations as a file of ours, without a server."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from airside.sdk.cli import output, tree
from airside.sdk.cli.failures import FAILED, Failure

if TYPE_CHECKING:
    from airside.triggers.importing import Imported

MAX_BYTES = 16 * 1_048_576  # of JSON; what is read is held in memory several times over


def import_(
    file: Annotated[
        str, typer.Argument(metavar="FILE.json", help="Automations as Prefect's API gives them; `-`: stdin.")
    ],
    *,
    to: Annotated[str, typer.Option("--output", "-o", metavar="FILE.yaml", help="Where to write; `-`: stdout.")] = "-",
    partial: Annotated[bool, typer.Option("--partial", help="Exit 0 even when something was left out.")] = False,
) -> None:
    """Translate Prefect's automations. Exit code 1 when something has no counterpart. Needs no server."""
    from airside.triggers.importing import NotImportable, import_automations, to_yaml

    try:
        imported = import_automations(_read(file))
    except NotImportable as error:
        raise Failure(str(error), hint="give the JSON of one automation, a list, or a page of results") from None
    text = to_yaml(imported)
    if to == "-":
        sys.stdout.write(text)
    else:
        try:
            Path(to).write_text(text, encoding="utf-8")
        except OSError as error:
            raise Failure(f"cannot write {to}: {error.strerror}") from None
    _summarise(imported)
    if not imported.is_whole and not partial:
        output.note("something was left out; with --partial that is no failure")
        raise typer.Exit(FAILED)


import_.epilog = tree.examples(  # type: ignore[attr-defined]
    "airside automations import prefect.json -o automations.yaml",
    "curl -s -X POST $PREFECT_API_URL/automations/filter | airside automations import - --partial",
)


def _read(file: str) -> Any:
    try:
        data = sys.stdin.buffer.read(MAX_BYTES + 1) if file == "-" else _bytes_of(Path(file))
    except OSError as error:
        raise Failure(f"cannot read {file}: {error.strerror}") from None
    if len(data) > MAX_BYTES:
        raise Failure(f"{file} is larger than {MAX_BYTES >> 20} MB", hint="import the automations in parts")
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        reason = "nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise Failure(f"{file} is not JSON: {reason}") from None


def _bytes_of(path: Path) -> bytes:
    with path.open("rb") as opened:
        return opened.read(MAX_BYTES + 1)


def _summarise(imported: "Imported") -> None:
    for note in imported.notes:
        output.note(output.plain(str(note)))
    whole = sum(automation.document is not None for automation in imported.automations)
    missing = len(imported.automations) - whole
    parts = sum(note.level == "left out" for note in imported.notes) - missing
    said = [f"{output.count(whole, 'automation')} translated"]
    if missing:
        said.append(f"{missing} not")
    if parts:
        said.append(f"{output.count(parts, 'part')} left out")
    output.note(", ".join(said))
