"""The `airside` command. Nothing here or in the modules of the groups imports anything heavy at module level."""

import sys
from typing import Annotated, Final

import typer

from airside.sdk.cli import failures, tree

__all__ = ["main"]

_HELP: Final = """The control tower of a data stack: events on one log, expectations checked, actions taken.

Settings come from AIRSIDE_URL, AIRSIDE_TOKEN and AIRSIDE_HOME, or from airside.toml here or in a parent folder.
"""


def _version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        typer.echo(f"airside {version('airside')}")
        raise typer.Exit


def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    pass


def main(arguments: list[str] | None = None) -> None:
    """Run the command and exit: 0 done, 1 the answer is no, 2 wrong usage or not possible.

    `arguments` are those of the process unless given.
    """
    app = tree.new_group((), _HELP)
    app.callback()(_root)
    try:
        app(arguments, prog_name="airside")
    except BrokenPipeError:
        sys.stderr.close()  # the reader of our output has gone; nobody is left to tell
        sys.exit(0)
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as error:  # noqa: BLE001 - a person at a terminal gets a sentence, not a traceback
        failures.fail(error)
