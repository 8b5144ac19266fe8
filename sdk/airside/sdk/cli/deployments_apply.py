"""`airside deployments apply`: sending the deployments of files."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from airside.sdk.cli import deployments_prune, options, output
from airside.sdk.cli.deployments_shared import checked
from airside.sdk.cli.failures import FAILED, Failure, place_and_message
from airside.sdk.cli.options import AsJson

if TYPE_CHECKING:
    from airside.events.deployments import Deployment

EXAMPLES = (
    "airside deployments apply deployment.yaml",
    "airside deployments apply                # airside.yaml here, or in the nearest folder above",
    "airside deployments apply --dry-run",
    "airside deployments apply --prune        # and remove those of its project that are no longer in it",
)


def apply(
    files: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[FILE...]", help="Each holds one deployment or many. Default: the nearest airside.yaml."
        ),
    ] = None,
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would change, and change nothing.")] = False,
    prune: Annotated[
        bool, typer.Option("--prune", help="Remove those of the file's `project` that are no longer in it.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Remove them without asking.")] = False,
    as_json: AsJson = False,
) -> None:
    """Create the deployments of files, and change those that differ. None is removed without --prune.

    All are checked first: when one is wrong, each mistake is told, and nothing is changed.
    """
    from airside.sdk.deploying import reading, sending
    from airside.sdk.exceptions import Refused

    found = files or [_nearest()]
    documents = [made for file in found for made in checked(partial(reading.read, file), str(file))]
    body = [sending.to_body(one) for one in documents]
    for one in documents:
        if one.slas:
            output.note(f"{output.plain(one.full_name)}: nothing watches its `slas` yet; an automation can: `absence`")
    with options.connect() as client:
        gone = deployments_prune.gone(client, found, documents) if prune else []
        if gone and not dry_run:
            deployments_prune.ask(gone, yes=yes)
        parameters = {"dry_run": "true"} if dry_run else None
        try:
            changes = client.request("POST", "/api/deployments", parameters=parameters, body=body)["items"]
        except Refused as error:
            details = [place_and_message(_named(problem, documents)) for problem in error.problems]
            raise Failure(str(error), code=FAILED, details=details) from error
        changes += deployments_prune.remove(client, gone, dry_run=dry_run)
    if as_json:
        output.as_json(changes)
        return
    rows = ((item["name"], item["revision"], item["change"]) for item in changes)
    output.table(("NAME", "REVISION", "WOULD BE" if dry_run else "CHANGE"), rows)
    for item in changes:
        for one in item.get("differences", []):
            output.line(f"{output.plain(item['name'])}: {_difference(one)}")


def _nearest() -> Path:
    from airside.sdk.deploying import reading

    found = reading.find_file()
    if found is None:
        raise Failure(
            f"there is no {reading.FILE_NAME} here nor in a folder above",
            hint="name a file: `airside deployments apply deployment.yaml`; `airside deployments build` writes one",
        )
    output.note(f"applying {found}")
    return found


def _named(problem: dict[str, Any], documents: "list[Deployment]") -> dict[str, Any]:
    """Say which deployment it is where the server says its place: `1.schedules.0` is `load/far: schedules.0`."""
    place, _, field = str(problem.get("field", "")).partition(".")
    if not place.isdigit() or int(place) >= len(documents):
        return problem
    return {**problem, "field": f"{documents[int(place)].full_name}: {field}".rstrip(": ")}


def _difference(one: dict[str, Any]) -> str:
    shown = {name: output.plain(one[name]) for name in ("before", "after") if name in one}
    return f"{one['field']}: {shown.get('before', '(none)')} -> {shown.get('after', '(none)')}"
