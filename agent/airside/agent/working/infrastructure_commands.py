"""`airside agent kinds` and `airside agent manifest`: what runs can be started in here, and as which job."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from airside.sdk.cli import output, tree
from airside.sdk.cli.failures import FAILED, Failure
from airside.sdk.cli.options import AsJson

if TYPE_CHECKING:
    from airside.events.deployments import Deployment


def kinds(*, as_json: AsJson = False) -> None:
    """Show which kinds of infrastructure work on this machine, and why the others do not. Asks no server."""
    import asyncio

    from airside.agent.working import infrastructure

    async def ask() -> dict[str, str]:
        try:
            return await infrastructure.working(tuple(infrastructure.KINDS))
        finally:
            await infrastructure.close()

    found = asyncio.run(ask())
    if as_json:
        output.as_json([{"kind": kind, "works": not trouble, "trouble": trouble} for kind, trouble in found.items()])
        return
    output.table(("KIND", "WORKS", "WHY NOT"), ((kind, "no" if why else "yes", why) for kind, why in found.items()))


def manifest(
    file: Annotated[Path | None, typer.Argument(metavar="[FILE]", help="The file of a deployment.")] = None,
) -> None:
    """Print the manifest of a Kubernetes job: the one that is built in, or what becomes of it for a deployment.

    What belongs to one run is not in it: its name, labels and variables. Asks no server and no cluster.
    """
    import yaml

    from airside.agent.working.exceptions import CannotPrepare
    from airside.agent.working.infrastructure.kubernetes import manifest as manifests

    made: list[dict[str, Any]] = []
    try:
        made = [manifests.template()] if file is None else [_shaped(one) for one in _read(file)]
    except CannotPrepare as error:
        raise Failure(str(error), code=FAILED) from error
    for line in yaml.safe_dump_all(made, sort_keys=False).splitlines():
        output.line(output.plain(line))


def _shaped(deployment: "Deployment") -> dict[str, Any]:
    from airside.agent.working.infrastructure.kubernetes import manifest as manifests

    if deployment.infrastructure.kind != "kubernetes":
        raise Failure(f"{deployment.full_name} is of kind {deployment.infrastructure.kind}, not kubernetes")
    return manifests.shaped(deployment.infrastructure, deployment.entrypoint)


def _read(file: Path) -> list["Deployment"]:
    from airside.events.deployments import InvalidDeployment
    from airside.sdk.deploying import reading

    try:
        return reading.read(file)
    except (InvalidDeployment, OSError) as error:
        raise Failure(f"{file}: {error}", code=FAILED) from error


kinds.epilog = tree.examples("airside agent kinds", "airside agent kinds --json")  # type: ignore[attr-defined]
manifest.epilog = tree.examples(  # type: ignore[attr-defined]
    "airside agent manifest > job.yaml", "airside agent manifest deployment.yaml"
)
