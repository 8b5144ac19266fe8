"""`airside schema`: the JSON Schema of files that people write."""

from typing import Annotated, Final

import typer

from airside.sdk.cli import output, tree
from airside.sdk.cli.failures import Failure

_KINDS: Final = ("automations", "deployments", "infrastructure")


def schema(
    of: Annotated[
        str, typer.Argument(metavar="[automations|deployments|infrastructure]", help="Of which files, or part of them.")
    ] = "automations",
) -> None:
    """Print the JSON Schema of a kind of file, for editors that complete and check them. Needs no server."""
    if of == "automations":
        from airside.triggers.schema import json_schema

        output.as_json(json_schema())
    elif of == "deployments":
        from airside.events.deployments import Deployment

        output.as_json({"$schema": "https://json-schema.org/draft/2020-12/schema", **Deployment.model_json_schema()})
    elif of == "infrastructure":
        from airside.events import infrastructure

        output.as_json(infrastructure.json_schema())
    else:
        raise Failure(f"`{of[:80]}` must be one of {', '.join(_KINDS)}")


schema.epilog = tree.examples(  # type: ignore[attr-defined]
    "airside schema > automations.schema.json",
    "airside schema infrastructure",
    "# and as the first line of a file of automations:",
    "# yaml-language-server: $schema=automations.schema.json",
)
