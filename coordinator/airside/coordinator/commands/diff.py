"""`airside automations diff`: what applying a file would change."""

from typing import TYPE_CHECKING, Annotated

import typer

from airside.sdk.cli import options, output, tree
from airside.sdk.cli.failures import FAILED, Failure
from airside.sdk.cli.options import AsJson

if TYPE_CHECKING:
    from airside.coordinator.differences import Difference


def diff(
    files: Annotated[list[str], typer.Argument(metavar="FILE...", help="YAML files; `-` reads stdin.")],
    *,
    as_json: AsJson = False,
) -> None:
    """Show what applying files would change on the server, field by field. Exit code 1 when anything would.

    What is on the server and in none of the files is listed, and is no change: applying deletes nothing.
    """
    from airside.coordinator.commands import rules_file
    from airside.coordinator.differences import differences

    automations = [automation for file in files for automation in rules_file.read(file)]
    names = [automation.name for automation in automations]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise Failure(f"in more than one file: {', '.join(twice)}", code=FAILED)
    with options.connect() as client:
        found = differences(automations, client.get("/api/automations")["items"])
    changed = [each for each in found if each.change in ("created", "updated")]
    if as_json:
        output.as_json([each.to_dict() for each in found])
    else:
        _show(found)
    if changed:
        raise typer.Exit(FAILED)


diff.epilog = tree.examples(  # type: ignore[attr-defined]
    "airside automations diff rules/*.yaml",
    "airside automations diff automations.yaml --json",
)


def _show(found: "list[Difference]") -> None:
    windows = {"kept": "; open windows are kept", "closed": "; open windows are closed"}
    for each in found:
        if each.change == "unchanged":
            continue
        revision = f" (revision {each.revision})" if each.revision else ""
        output.line(output.plain(f"{each.name}{revision}: {each.change}{windows.get(each.windows or '', '')}"))
        for change in each.fields:
            output.line(f"  {output.plain(str(change))}")
    unchanged = sum(each.change == "unchanged" for each in found)
    changed = sum(each.change in ("created", "updated") for each in found)
    output.note(f"{output.count(changed, 'change')}, {unchanged} unchanged")
