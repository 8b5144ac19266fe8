"""Starting a flow of a file in this process, as `airside runs start` does."""

import importlib.util
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from airside.sdk.flows import suspending
from airside.sdk.flows.exceptions import BadOption
from airside.sdk.flows.flow import Flow


def start(run: str, entrypoint: str, texts: Mapping[str, str]) -> Any:
    """Carry on a suspended run of the flow at `FILE.py:FLOW`, with an answer as people type it.

    Raises BadOption and NotSuspended, and what the flow raises.
    """
    flow = load(entrypoint)
    left = suspending.find(flow, run)
    asked = (left.schema or {}).get("properties", {}) if left is not None else {}
    given = {name: _value(asked.get(name), text) for name, text in texts.items()}
    made = suspending.resume(flow, run, given or None)
    if flow.is_async:
        import asyncio  # noqa: PLC0415 - for coroutine flows

        return asyncio.run(made)
    return made


def load(entrypoint: str) -> Flow[..., Any]:
    """Import the file and give the flow. Raises BadOption, and what the file raises."""
    name, separator, attribute = entrypoint.rpartition(":")
    path = Path(name).resolve()
    if not separator or not path.is_file():
        raise BadOption(f"{entrypoint}: must be FILE.py:FLOW, with a file that exists")
    sys.path.insert(0, str(path.parent))
    module = sys.modules.get(path.stem)
    if module is None or getattr(module, "__file__", None) != str(path):
        spec = importlib.util.spec_from_file_location(path.stem, path)
        if spec is None or spec.loader is None:
            raise BadOption(f"{name} is no Python file")
        module = importlib.util.module_from_spec(spec)
        sys.modules[path.stem] = module
        spec.loader.exec_module(module)
    found: Any = module
    for part in attribute.split("."):
        found = getattr(found, part, None)
    if not isinstance(found, Flow):
        raise BadOption(f"{attribute} in {name} is no flow")
    return found


def _value(asked: Any, text: str) -> Any:
    """Read a value as the flow asks for it: text where it wants text, else JSON where it is any."""
    if isinstance(asked, dict) and asked.get("type") == "string":
        return text
    try:
        return json.loads(text)
    except ValueError:
        return text
