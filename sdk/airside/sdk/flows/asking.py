"""Telling on the console, and in the run's log, that a run waits for somebody, and how to answer."""

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airside.sdk.flows import logs

if TYPE_CHECKING:
    from airside.sdk.flows.context import FlowContext


def closed(schema: dict[str, Any], model: Any) -> dict[str, Any]:
    """Let the schema of an answer take nothing that is not asked for: a name that is misspelt would be lost.

    A model that says itself what becomes of other names, or takes fields by several, keeps its own schema.
    """
    config = getattr(model, "model_config", {})
    names = config.get("extra"), config.get("populate_by_name"), config.get("validate_by_name")
    aliases = [getattr(field, "validation_alias", None) for field in getattr(model, "model_fields", {}).values()]
    if any(names) or any(alias is not None and not isinstance(alias, str) for alias in aliases):
        return schema
    return {"additionalProperties": False, **schema} if "properties" in schema else schema


def tell(flow: "FlowContext", state: str, message: str, schema: Mapping[str, Any] | None, command: str) -> None:
    """Write one line: what is asked, and the command that answers with the fields of `schema`."""
    logs.set_up()
    given = "".join(f" --input {name}=…" for name in (schema or {}).get("properties", {}))
    asked = f"{state}: {message}" if message else state
    logging.getLogger(f"{logs.RUNS}.flow").info(
        "%s; go on with: %s%s",
        asked,
        command,
        given,
        extra={"flow_run_id": flow.run.id, "flow_run_name": flow.run.name},
    )
