"""`airside schema`: the JSON Schema of automations files."""

from airside.sdk.cli import output, tree


def schema() -> None:
    """Print the JSON Schema of automations files, for editors that complete and check them. Needs no server."""
    from airside.triggers.schema import json_schema

    output.as_json(json_schema())


schema.epilog = tree.examples(  # type: ignore[attr-defined]
    "airside schema > automations.schema.json",
    "# and as the first line of a file of automations:",
    "# yaml-language-server: $schema=automations.schema.json",
)
