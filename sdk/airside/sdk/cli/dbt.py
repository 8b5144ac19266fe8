"""`airside dbt`: dbt's own commands, followed live, and artifacts sent afterwards."""

import os
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from typer.core import TyperGroup

from airside.sdk.cli import options, output, tree
from airside.sdk.cli.failures import CANNOT, Failure
from airside.sdk.cli.options import AsJson

_OWN: Final = ("import", "--help")
_FOLLOW: Final = "COMMAND"
#: Events in one request, which the server writes all or none.
_BATCH_EVENTS: Final = 500
_HELP: Final = """Run dbt, and see each model, test, seed, snapshot and source on the log while it happens.

`airside dbt build --select orders` runs `dbt build --select orders` with its output, exit code and signals untouched.
AIRSIDE_URL says where events go; without it dbt simply runs. AIRSIDE_DBT names another dbt than the one on the PATH,
AIRSIDE_DBT_VERBOSE=1 says at the end what was sent. `airside dbt COMMAND --help` is dbt's own help.
"""


class _Dbt(TyperGroup):
    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Take everything that is not ours as a command of dbt, with options in any place."""
        if args and args[0] not in _OWN:
            args = [_FOLLOW, "--", *args]
        return list(super().parse_args(ctx, args))


app = typer.Typer(
    cls=_Dbt,
    help=_HELP,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=tree.NO_MARKUP,
    pretty_exceptions_enable=False,
)


@app.command(_FOLLOW, add_help_option=False, short_help="Any command of dbt, with its options: build, run, test …")
def follow(arguments: Annotated[list[str], typer.Argument()]) -> None:
    """Run a dbt command."""
    from airside.sdk.integrations.dbt import command, wrapper

    if command.inside(os.environ):
        raise Failure(
            "the `dbt` on the PATH runs `airside dbt` itself", hint="set AIRSIDE_DBT to the path of the real dbt"
        )
    try:
        wrapper.run(arguments, os.environ)
    except command.DbtMissing as error:
        hint = "install dbt (pip install dbt-core and an adapter), or set AIRSIDE_DBT to its path"
        raise Failure(f"dbt is missing: {error}", hint=hint) from error
    except OSError as error:
        raise Failure(
            f"dbt cannot be started: {error.strerror or error}", hint="set AIRSIDE_DBT to its path"
        ) from error


@app.command(
    "import",
    epilog=tree.examples(
        "airside dbt import",
        "airside dbt import target/ --json",
        "airside dbt import --project-dir transform --no-all-selected",
    ),
)
def import_(
    target: Annotated[
        Path | None, typer.Argument(metavar="TARGET", help="dbt's target folder. Default: that of the project.")
    ] = None,
    *,
    project_dir: Annotated[
        Path | None, typer.Option("--project-dir", help="The project's folder. Default: here or the nearest parent.")
    ] = None,
    all_selected: Annotated[
        bool,
        typer.Option(
            "--all-selected/--no-all-selected",
            help="Whether `dbt source freshness` checked all sources: one that is missing then failed.",
        ),
    ] = True,
    as_json: AsJson = False,
) -> None:
    """Send the artifacts of a dbt command that already ended. What is on the log already counts once."""
    from airside.sdk.integrations.dbt import artifacts, command, project

    if target is None:
        told = str(project_dir) if project_dir else os.environ.get("DBT_PROJECT_DIR")
        target = project.find(told, command.here()).target
    elif project_dir is not None:
        target = project_dir / target
    try:
        read = artifacts.read(target, all_selected=all_selected)
    except artifacts.BadArtifact as error:
        raise Failure(str(error), hint=error.hint, code=CANNOT, details=list(error.problems)) from error
    for note in read.notes:
        output.note(note)
    done = [_send(found) for found in read.found]
    if as_json:
        output.as_json(done)
        return
    for entry in done:
        new, known = output.count(entry["accepted"], "new event"), entry["duplicates"]
        output.line(f"{entry['file']}: {new}, {known:,} known already (invocation {entry['invocation_id']})")


def _send(found: Any) -> dict[str, Any]:
    """Send what one artifact says. Returns when it is on the server's disk."""
    from airside.sdk.integrations.dbt.live import as_object

    events = [as_object(event) for event in found.events]
    done = {"file": str(found.file), "invocation_id": found.invocation_id, "sent": len(events)}
    accepted = duplicates = 0
    with options.connect() as client:
        for start in range(0, len(events), _BATCH_EVENTS):
            answer = client.post_events(events[start : start + _BATCH_EVENTS])
            accepted += answer["accepted"]
            duplicates += answer["duplicates"]
    return {**done, "accepted": accepted, "duplicates": duplicates}
