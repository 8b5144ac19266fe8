"""`airside agent discover`: what is on this side, and how Airside could follow it."""

import os
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from airside.sdk.cli import options, output, tree
from airside.sdk.cli.failures import Failure
from airside.sdk.cli.options import AsJson

if TYPE_CHECKING:
    from airside.agent.discovering.found import Found
    from airside.agent.discovering.place import Place

_FINDERS: Final = ("airflow", "dbt", "variables", "kubernetes", "cron")


def discover(
    folders: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[FOLDER...]", help="Look for projects in and below these. Default: this folder."),
    ] = None,
    *,
    file: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="Write a new file of watchers, for `agent start --watch`."),
    ] = None,
    report: Annotated[
        bool, typer.Option("--report", help="Tell the server of what was found: an event for each thing, once.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Look at what is on this machine that Airside could follow: dbt, Airflow, Prefect, databases, buckets, cron.

    Nothing is changed, and nothing is sent without --report. Files and variables are read, and no value of theirs is
    shown that may be a secret. An Airflow is asked for its version, on loopback alone.
    """
    from airside.agent.discovering import writing
    from airside.agent.discovering.place import Place

    looked = tuple(folder.expanduser().absolute() for folder in folders or [Path()])
    if missing := [folder for folder in looked if not folder.is_dir()]:
        raise Failure(f"{missing[0]} is no folder")
    found = list(_find(Place(os.environ, Path.home(), looked)))
    if file is not None:
        _write(file, writing.to_toml(found, file.name))
    if report and found:
        _report(found)
    if as_json:
        output.as_json([one.to_dict() for one in found])
        return
    rows = ((one.kind, one.what, one.where, one.wants and f"wants {one.wants}", one.follow) for one in found)
    output.table(("KIND", "WHAT", "SAID BY", "BEFORE", "HOW TO FOLLOW IT"), rows, empty="nothing found")
    if file is not None:
        output.note(f"{file} is written; read it, then: airside agent start --watch {file}")
    elif any(one.watch for one in found):
        output.note("with -o watchers.toml the watchers are written to a file, to be read and started")


discover.epilog = tree.examples(  # type: ignore[attr-defined]
    "airside agent discover",
    "airside agent discover ~/projects /srv/dbt -o watchers.toml",
    "airside agent discover --report",
    "airside agent discover --json",
)


def _find(place: "Place") -> "Iterator[Found]":
    for name in _FINDERS:
        find: Callable[[Place], Iterator[Found]] = import_module(f"airside.agent.discovering.{name}").find
        yield from find(place)


def _report(found: "list[Found]") -> None:
    import socket

    from airside.agent.discovering import reporting

    with options.connect() as client:
        done = client.post_events(reporting.events(found, socket.gethostname() or "localhost"))
    known = int(done.get("duplicates") or 0)
    new = len(found) - known
    output.note(f"the server was told of {output.count(new, 'thing')}, and knew {known:,}")


def _write(file: Path, text: str) -> None:
    try:
        with file.open("x", encoding="utf-8") as written:
            written.write(text)
    except FileExistsError as error:
        raise Failure(f"{file} is there already, and is left as it is", hint="name another file") from error
