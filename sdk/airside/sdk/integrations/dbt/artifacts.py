"""The artifacts of a dbt command that already ended, as events."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import orjson

from airside.events import dbt, wire
from airside.events.exceptions import InvalidEvent

#: For each artifact: the word in its schema's address, and the oldest version that says what is needed.
_SCHEMAS: Final = {
    "run_results.json": ("run-results", 4, 6),
    "sources.json": ("sources", 3, 3),
    "manifest.json": ("manifest", 4, 12),
}
_SCHEMA = re.compile(r"/dbt/([a-z-]+)/v(\d+)\.json$")


class BadArtifact(Exception):
    """An artifact cannot be used. `hint` says what to do about it, `problems` name fields."""

    def __init__(self, message: str, hint: str = "", problems: tuple[str, ...] = ()) -> None:
        self.hint = hint
        self.problems = problems
        super().__init__(message)


@dataclass(frozen=True, slots=True)
class Found:
    """What one artifact says."""

    file: Path
    invocation_id: str
    events: list[wire.WireEvent]


@dataclass(frozen=True, slots=True)
class Artifacts:
    """What a target folder says; `notes` are for people."""

    found: list[Found]
    notes: list[str]


def read(target: Path, *, all_selected: bool = True) -> Artifacts:
    """Read run_results.json and sources.json, with what manifest.json adds. Raises BadArtifact."""
    if not target.is_dir():
        raise BadArtifact(f"{target} is no folder", "name dbt's target folder, or run a dbt command first")
    notes: list[str] = []
    results = _load(target / "run_results.json", notes)
    sources = _load(target / "sources.json", notes)
    if results is None and sources is None:
        raise BadArtifact(
            f"{target} holds neither run_results.json nor sources.json",
            "`dbt build` writes the one, `dbt source freshness` the other, unless told --no-write-json",
        )
    manifest = _load(target / "manifest.json", notes)
    if manifest is None:
        notes.append("no manifest.json: without lineage, owners, tags, and sources whose query failed")
    found = []
    if results is not None:
        found.append(_found(target / "run_results.json", results, lambda: dbt.parse_run_results(results, manifest)))
    if sources is not None:
        path = target / "sources.json"
        parse = lambda: dbt.parse_sources(sources, manifest, all_selected=all_selected)  # noqa: E731
        found.append(_found(path, sources, parse))
    return Artifacts(found, notes)


def _found(path: Path, artifact: Any, parse: Any) -> Found:
    try:
        events = parse()
    except InvalidEvent as error:
        problems = tuple(f"{problem.field}: {problem.message}" for problem in error.problems[:10])
        raise BadArtifact(f"{path} is not as dbt writes it", "run the dbt command again", problems) from error
    return Found(path, str(artifact["metadata"]["invocation_id"]), events)


def _load(path: Path, notes: list[str]) -> Any:
    """Read an artifact; None when there is none. Raises BadArtifact."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise BadArtifact(f"{path}: {error.strerror or error}") from error
    try:
        artifact = orjson.loads(data)
    except ValueError as error:
        hint = "dbt may still be writing it, or was killed meanwhile: wait for it to end, or run the command again"
        raise BadArtifact(f"{path} is no whole JSON file: {error}", hint) from error
    _check_schema(path, artifact, notes)
    return artifact


def _check_schema(path: Path, artifact: Any, notes: list[str]) -> None:
    metadata = artifact.get("metadata") if isinstance(artifact, dict) else None
    address = metadata.get("dbt_schema_version") if isinstance(metadata, dict) else None
    found = _SCHEMA.search(address) if isinstance(address, str) else None
    word, oldest, newest = _SCHEMAS[path.name]
    if found is None or found[1] != word:
        what = f"its schema is {address}" if isinstance(address, str) else "it names no dbt schema"
        raise BadArtifact(f"{path} is no {path.name} of dbt: {what}", "send the file as dbt wrote it")
    version = int(found[2])
    if version < oldest:
        raise BadArtifact(
            f"{path} has version {version} of its schema; {oldest} to {newest} are known",
            "it was written by a dbt before 1.0: upgrade dbt and run the command again",
        )
    if version > newest:
        notes.append(f"{path.name} has version {version} of its schema, later than {newest}, which is known")
