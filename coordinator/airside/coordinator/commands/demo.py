"""`airside demo`: a captured day, a missed deadline, and what was done about it."""

from typing import Annotated

import typer

from airside.sdk.cli import tree


def demo(
    *,
    keep: Annotated[bool, typer.Option("--keep", help="Stay up afterwards, until Ctrl-C, to look around.")] = False,
) -> None:
    """Show Airside at work: a real server on this machine, fed with a captured day of Airflow, dbt and others.

    Takes about 20 seconds, leaves nothing behind, and exits 0 only if everything it shows really happened.
    """
    from airside.coordinator.demo import run

    raise typer.Exit(run(keep=keep))


demo.epilog = tree.examples("airside demo", "airside demo --keep")  # type: ignore[attr-defined]
