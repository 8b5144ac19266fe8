"""`airside deployments apply --prune`: what a project's file no longer holds is removed.

Each deployment keeps the `project` of the file that it was last applied from. So what was applied from elsewhere, or by
hand, is of another project or of none, and is never touched.
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from airside.sdk.cli import output
from airside.sdk.cli.failures import FAILED, Failure

if TYPE_CHECKING:
    from airside.events.deployments import Deployment
    from airside.sdk.client import Client

Items = list[dict[str, Any]]


def gone(client: "Client", files: Sequence[Path], documents: "Sequence[Deployment]") -> Items:
    """Give the deployments of the file's project that it no longer holds, as the server has them.

    Raises Failure for several files or projects, and when all that the project has came from somewhere else.
    """
    project = _project(files, documents)
    names = {one.full_name for one in documents}
    of_project = [one for one in client.get("/api/deployments")["items"] if one["document"].get("project") == project]
    left = [one for one in of_project if one["name"] not in names]
    if left and len(left) == len(of_project):
        raise Failure(
            f"nothing of {files[0]} was applied as project `{project}` before, yet {_count(left)} of it exist",
            hint="is it another project's name? If not, apply once without --prune, and then with it",
            code=FAILED,
            details=[one["name"] for one in left],
        )
    return left


def ask(found: Items, *, yes: bool) -> None:
    """Ask whether to remove them. Raises Failure where nobody says so."""
    if yes:
        return
    names = [output.plain(one["name"]) for one in found]
    if not sys.stdin.isatty():
        raise Failure(
            f"--prune would remove {_count(found)}; nothing is changed",
            hint="say --yes to remove them, or --dry-run to see what would change",
            code=FAILED,
            details=names,
        )
    if not typer.confirm(f"Remove {', '.join(names)}? Their schedules end; their runs stay on the log.", err=True):
        raise Failure("nothing is changed", code=FAILED)


def remove(client: "Client", found: Items, *, dry_run: bool) -> Items:
    """Remove them; what was applied from elsewhere meanwhile stays. Gives what became of each."""
    from airside.sdk.client import path
    from airside.sdk.exceptions import NotFound, Refused

    changes = []
    for one in found:
        change = "removed"
        if not dry_run:
            where = path("deployments", *one["name"].split("/", 1))
            try:
                client.request("DELETE", where, parameters={"project": one["document"]["project"]})
            except NotFound:
                pass  # somebody else has removed it
            except Refused as error:
                output.note(str(error))
                change = "unchanged"
        changes.append({"name": one["name"], "revision": one["revision"], "change": change})
    return changes


def _project(files: Sequence[Path], documents: "Sequence[Deployment]") -> str:
    if len(files) != 1:
        raise Failure("--prune compares one file with the server; give one", hint="all of a project are in one file")
    projects = {one.project for one in documents}
    if None in projects or len(projects) != 1:
        raise Failure(
            f"{files[0]} does not say one `project` for all its deployments; without it nobody knows what is its own",
            hint="write at its top: `project: NAME`, and the list under `deployments:`; apply it once, then prune",
        )
    return str(projects.pop())


def _count(found: Items) -> str:
    return output.count(len(found), "deployment")
