"""Artifacts: small things for people to look at, told as events about `artifact://<key>`."""

import json
import re
import threading
from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import quote, urlsplit

from airside.sdk.emitting import api, message
from airside.sdk.flows import context
from airside.sdk.flows.exceptions import BadOption

#: The most that one artifact may hold, in bytes of JSON; what is longer is cut, and says so.
MAX_BYTES: Final = 200_000
_KEY: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,199}")
_SCHEMES: Final = frozenset({"http", "https", "s3", "gs", "gcs", "az", "abfs", "abfss", "hdfs", "ftp", "sftp", "file"})


def create_table_artifact(table: Any, *, key: str | None = None, description: str = "") -> str:
    """Show a table: a list of mappings or of lists, a mapping of columns, or a data frame. Gives the key.

    Rows beyond 200 kB are left out, and counted. `key` is of a-z, 0-9, `-`, `_`, `.`; the same key again is a newer
    version. Raises BadOption.
    """
    rows = _rows(table)
    kept, size = [], 0
    for row in rows:
        size += len(json.dumps(row)) + 1
        if size > MAX_BYTES:
            break
        kept.append(row)
    more = {"rows_left_out": len(rows) - len(kept)} if len(kept) < len(rows) else {}
    return _tell("table", key, description, {"data": kept, "rows": len(rows), **more})


def create_markdown_artifact(markdown: str, *, key: str | None = None, description: str = "") -> str:
    """Show a text in Markdown. What is beyond 200 kB is cut. Gives the key. Raises BadOption."""
    if not isinstance(markdown, str):
        raise BadOption(f"markdown must be a text, not {type(markdown).__name__}")
    cut = markdown.encode("utf-8", "replace")[:MAX_BYTES].decode("utf-8", "ignore")
    more = {"characters_left_out": len(markdown) - len(cut)} if len(cut) < len(markdown) else {}
    return _tell("markdown", key, description, {"data": cut, **more})


def create_link_artifact(link: str, *, text: str = "", key: str | None = None, description: str = "") -> str:
    """Show a link. Gives the key. Raises BadOption for a URL that no browser should be led to."""
    return _tell("link", key, description, {"data": _url(link), "text": text or link})


def create_image_artifact(image_url: str, *, key: str | None = None, description: str = "") -> str:
    """Show an image that is somewhere else. Gives the key. Raises BadOption."""
    return _tell("image", key, description, {"data": _url(image_url)})


def create_progress_artifact(progress: float, *, key: str | None = None, description: str = "") -> str:
    """Show how far something is, from 0 to 100. Gives the key, for `update_progress_artifact`. Raises BadOption."""
    return _tell("progress", key, description, {"data": _percent(progress)})


def update_progress_artifact(key: str, progress: float, *, description: str = "") -> None:
    """Move a progress artifact. Raises BadOption."""
    _tell("progress", key, description, {"data": _percent(progress)}, is_new=False)


def around() -> list[tuple[str, str]]:
    """Give the runs that this code belongs to, as related resources of an event."""
    flow, task = context.flow_context.get(), context.task_context.get()
    found = []
    if flow is not None:
        found.append(("flow_run", flow.run.resource_id))
        found.append(("flow", f"flow://{quote(flow.flow.name, safe='')}"))
    if task is not None:
        found.append(("task_run", task.run.resource_id))
    return found


def _tell(kind: str, key: str | None, description: str, payload: dict[str, Any], *, is_new: bool | None = None) -> str:
    if key is None:
        key = message.uuid7()
    elif not isinstance(key, str) or not _KEY.fullmatch(key):
        raise BadOption(
            f"key must be 1 to 200 of a-z, 0-9, `-`, `_` and `.`, beginning with a letter or digit: {key!r}"
        )
    if is_new is None:
        is_new = _is_first(key)
    whole = {"artifact_type": kind, **({"description": str(description)[:2_000]} if description else {}), **payload}
    resource = {"id": f"artifact://{key}", "kind": "artifact", "name": key}
    api.emit("artifact.created" if is_new else "artifact.updated", resource, related=around(), payload=whole)
    return key


_known: set[tuple[str | None, str]] = set()
_lock = threading.Lock()
_MAX_KNOWN: Final = 10_000


def _is_first(key: str) -> bool:
    """Tell whether this run has not made the artifact before."""
    flow = context.flow_context.get()
    mark = (flow.run.id if flow is not None else None, key)
    with _lock:
        if mark in _known:
            return False
        if len(_known) >= _MAX_KNOWN:
            _known.clear()
        _known.add(mark)
        return True


def _rows(table: Any) -> list[Any]:
    if hasattr(table, "to_dict") and hasattr(table, "columns"):  # a data frame of pandas
        table = table.to_dict("records")
    elif hasattr(table, "to_dicts"):  # of polars
        table = table.to_dicts()
    if isinstance(table, Mapping):
        columns = {str(name): list(values) for name, values in table.items()}
        if len({len(values) for values in columns.values()}) > 1:
            raise BadOption("a table's columns must be equally long")
        table = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    if not isinstance(table, Sequence) or isinstance(table, str | bytes):
        raise BadOption(f"table must be a list of rows or a mapping of columns, not {type(table).__name__}")
    try:
        rows: list[Any] = json.loads(json.dumps(list(table), default=str), parse_constant=lambda _: None)
    except (TypeError, ValueError, RecursionError) as error:
        raise BadOption(f"table cannot be written as JSON: {error}") from None
    return rows


def _url(url: Any) -> str:
    if not isinstance(url, str) or urlsplit(url.strip()).scheme.lower() not in _SCHEMES or len(url) > 8_000:
        raise BadOption("a link must be a URL such as https://… or s3://…")
    return url.strip()


def _percent(progress: Any) -> float:
    if not isinstance(progress, int | float) or isinstance(progress, bool) or not 0 <= progress <= 100:
        raise BadOption("progress must be a number from 0 to 100")
    return round(float(progress), 3)
