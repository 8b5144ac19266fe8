"""The JSON Schema of automations files, for editors that complete and check them."""

from typing import Any

from airside.triggers.model import Automation


def json_schema() -> dict[str, Any]:
    """Give the schema of a file: `automations:` with a list, a bare list, or one automation."""
    one = Automation.model_json_schema()
    definitions = one.pop("$defs", {})
    definitions["Automation"] = one
    entry = {"$ref": "#/$defs/Automation"}
    entries = {"type": "array", "items": entry}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Airside automations",
        "description": "Rules: each has a name, one trigger that decides when, and the actions that follow.",
        "anyOf": [
            {
                "type": "object",
                "properties": {"automations": entries},
                "required": ["automations"],
                "additionalProperties": False,
            },
            entries,
            entry,
        ],
        "$defs": definitions,
    }
