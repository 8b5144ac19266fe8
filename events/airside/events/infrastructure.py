"""What a run is started in: a process of the agent's machine, a Docker container, a job of Kubernetes. Pure.

Settings are checked when a deployment is applied and when a run is asked for, and again by the agent. They are
metadata: none may be a secret. What a run needs of those is named (`pass_env`) and read by the agent.
"""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Discriminator,
    Field,
    JsonValue,
    StringConstraints,
    Tag,
    ValidationError,
    WithJsonSchema,
)

from airside.events import durations
from airside.events.durations import Duration
from airside.events.exceptions import AirsideError, Problem
from airside.events.strict import Strict, told

KINDS: Final = ("process", "docker", "kubernetes")
#: Between asking a run to end and ending it, unless the settings say otherwise.
GRACE_SECONDS: Final = 30.0
#: What starts a run in a container; its entry point follows.
COMMAND: Final = ["python", "-m", "airside.agent.run_one"]
_BY_NAME: Final = ("env", "labels")
_SIZE = re.compile(r"(\d{1,15}(?:\.\d{1,3})?)(|[kKMGT]i?)B?")
_UNITS: Final = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
_BINARY: Final = {"k": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}
_LEAST_BYTES: Final = 16 * 2**20
_QUANTITY = re.compile(r"\d{1,15}(?:\.\d{1,9})?(?:m|[kMGTPE]|[KMGTPE]i)?")
_VOLUME = re.compile(r"[^:\r\n]{1,500}:/[^:\r\n]{0,500}(?::(?:ro|rw))?")
_OPERATIONS: Final[Mapping[str, set[str]]] = {
    "add": {"value"},
    "replace": {"value"},
    "test": {"value"},
    "remove": set(),
    "move": {"from"},
    "copy": {"from"},
}
_WORD = re.compile(r"[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?")


class InvalidInfrastructure(AirsideError):
    """The settings are refused; `problems` names each field and what was expected there."""

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = problems
        super().__init__("; ".join(str(problem) for problem in problems))


def bytes_of(text: str) -> int:
    """Read a size such as 512Mi, 2G or 1073741824. Raises ValueError."""
    found = _SIZE.fullmatch(text)
    if found is None:
        raise ValueError("must be a size such as 512Mi or 2G, or a number of bytes")
    number, unit = found.groups()
    factor = _BINARY[unit[0].replace("K", "k")] if unit.endswith("i") else _UNITS[unit.replace("K", "k")]
    return int(float(number) * factor)


def _size(value: Any) -> Any:
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    if isinstance(text, str) and bytes_of(text) < _LEAST_BYTES:
        raise ValueError("must be at least 16Mi: no Python starts in less")
    return text


def _quantity(value: Any) -> Any:
    text = str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value
    if isinstance(text, str) and not _QUANTITY.fullmatch(text):
        raise ValueError("must be a quantity of Kubernetes, as 500m, 2 or 512Mi")
    return text


def _volume(text: str) -> str:
    if not _VOLUME.fullmatch(text):
        raise ValueError("must be SOURCE:/TARGET or SOURCE:/TARGET:ro; a source is a folder or the name of a volume")
    return text


def _operation(step: dict[str, Any]) -> dict[str, Any]:
    op, needed = step.get("op"), {"path"}
    if not isinstance(op, str) or op not in _OPERATIONS:
        raise ValueError(f"`op` must be one of {', '.join(_OPERATIONS)}")
    needed |= _OPERATIONS[op]
    if missing := sorted(needed - set(step)):
        raise ValueError(f"`{op}` needs `{missing[0]}`")
    for name in needed - {"value"}:
        if not re.fullmatch(r"(/.{0,300})?", str(step[name])):
            raise ValueError(f"`{name}` must be a path such as /spec/template/spec/nodeSelector")
    if unknown := sorted(set(step) - needed - {"op"}):
        raise ValueError(f"`{op}` has no `{unknown[0][:80]}`")
    return step


def _word(text: str) -> str:
    if not _WORD.fullmatch(text):
        raise ValueError("must be lower-case letters, digits, `-` and `.`, and begin and end with one of the first two")
    return text


def _variable(name: str) -> str:
    if name == "AIRSIDE_TOKEN" or name.startswith("AIRSIDE_RUN_"):
        raise ValueError("is set by the agent")
    return name


Line = Annotated[str, StringConstraints(min_length=1, max_length=1_000, pattern=r"^[^\r\n\x00]*$")]
Variable = Annotated[
    str, StringConstraints(max_length=200, pattern=r"^[A-Za-z_][A-Za-z0-9_]*$"), AfterValidator(_variable)
]
Value = Annotated[str, StringConstraints(max_length=100_000, pattern=r"^[^\x00]*$")]
Pattern = Annotated[str, StringConstraints(max_length=200, pattern=r"^[A-Za-z_][A-Za-z0-9_]*\*?$")]
Size = Annotated[str, BeforeValidator(_size), WithJsonSchema({"type": ["string", "integer"], "examples": ["512Mi"]})]
Quantity = Annotated[str, BeforeValidator(_quantity), WithJsonSchema({"type": ["string", "number"]})]
Operation = Annotated[dict[str, JsonValue], AfterValidator(_operation)]
Word = Annotated[str, AfterValidator(_word)]
Label = Annotated[str, StringConstraints(max_length=63, pattern=r"^([A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?)?$")]


class _Common(Strict):
    env: dict[Variable, Value] = Field({}, max_length=500, description="variables of the run; none may be a secret")
    grace: float = Field(
        GRACE_SECONDS, ge=0, le=3_600, description="seconds between asking the run to end and ending it"
    )


class Process(_Common):
    """A process of its own on the agent's machine."""

    kind: Literal["process"] = "process"
    pass_env: list[Pattern] | None = Field(
        None, max_length=200, description="variables of the agent that it gets, as AWS_*; left out: all of them"
    )
    working_folder: Line | None = Field(None, description="where it starts; relative to the code")
    python: Line | None = Field(None, description="the interpreter, on the agent's machine")
    memory: Size | None = Field(None, description="memory of each of its processes, as 512Mi")
    cpu_seconds: int | None = Field(None, ge=1, le=10**8, description="seconds of CPU of each of its processes")
    open_files: int | None = Field(None, ge=16, le=2**20, description="files that each may have open at once")
    nice: int | None = Field(None, ge=0, le=19, description="how far it stands back for other programs")


class _Contained(_Common):
    image: Line = Field(description="it must hold airside, and the code unless `storage` brings it")
    command: list[Line] = Field(COMMAND, min_length=1, max_length=50, description="what starts a run in the image")
    pass_env: list[Pattern] = Field([], max_length=200, description="variables of the agent that it gets, as AWS_*")
    pull: Literal["always", "missing", "never"] = "missing"


class Docker(_Contained):
    """A container of the Docker engine that the agent speaks to."""

    kind: Literal["docker"]
    volumes: list[Annotated[str, AfterValidator(_volume)]] = Field([], max_length=50, description="SOURCE:/TARGET[:ro]")
    network: Line | None = Field(None, description="the network it joins, or `host`, or `none`")
    memory: Size | None = Field(None, description="at most so much memory, as 512Mi; swap is not given beside it")
    cpus: float | None = Field(None, ge=0.01, le=1_024, description="at most so many cores, as 0.5")
    user: Line | None = Field(None, description="who it runs as; by default whom the image says")
    labels: dict[Line, Value] = Field({}, max_length=100)
    auto_remove: bool = Field(True, description="false: the ended container stays, to be looked at")


class Resources(Strict):
    """What a container of Kubernetes asks for, and what it may have at most."""

    requests: dict[Line, Quantity] = Field({}, max_length=20)
    limits: dict[Line, Quantity] = Field({}, max_length=20)


class Kubernetes(_Contained):
    """A job of the cluster that the agent speaks to; one pod, tried once."""

    kind: Literal["kubernetes"]
    namespace: Word | None = Field(None, description="by default the agent's own")
    service_account: Word | None = None
    resources: Resources = Resources()
    image_pull_secrets: list[Word] = Field([], max_length=20)
    labels: dict[Annotated[str, StringConstraints(min_length=1, max_length=317)], Label] = Field({}, max_length=50)
    ttl: Duration = Field(durations.HOUR, description="how long the ended job stays, to be looked at")
    start_timeout: Duration = Field(10 * durations.MINUTE, description="so long its pod may take to begin")
    job: dict[str, JsonValue] | None = Field(None, description="a manifest in place of the one that is built in")
    merge: dict[str, JsonValue] = Field({}, description="laid over the manifest: a JSON Merge Patch, RFC 7396")
    patch: list[Operation] = Field([], max_length=100, description="done to the manifest then: a JSON Patch, RFC 6902")


def _kind(data: Any) -> Any:
    return data.get("kind", "process") if isinstance(data, Mapping) else getattr(data, "kind", None)


Infrastructure = Annotated[
    Annotated[Process, Tag("process")] | Annotated[Docker, Tag("docker")] | Annotated[Kubernetes, Tag("kubernetes")],
    Discriminator(_kind),
]


class _Holder(Strict):
    infrastructure: Infrastructure = Process()


def parse(settings: Mapping[str, Any], override: Mapping[str, Any] | None = None) -> Infrastructure:
    """Read settings, with those of one run laid over them. Raises InvalidInfrastructure."""
    try:
        return _Holder.model_validate({"infrastructure": laid_over(settings, override or {})}).infrastructure
    except ValidationError as error:
        raise InvalidInfrastructure(told(error, ("infrastructure",))) from None


def laid_over(settings: Mapping[str, Any], override: Mapping[str, Any]) -> dict[str, Any]:
    """Join a deployment's settings and those of one run.

    Variables and labels are joined by name, other settings replaced; null takes one away. Another `kind` begins anew.
    """
    if override.get("kind", settings.get("kind", "process")) != settings.get("kind", "process"):
        return dict(override)
    joined = dict(settings)
    for key, value in override.items():
        before = joined.get(key)
        if key in _BY_NAME and isinstance(value, Mapping) and isinstance(before, Mapping):
            joined[key] = {name: text for name, text in {**before, **value}.items() if text is not None}
        else:
            joined[key] = value
    return {key: value for key, value in joined.items() if value is not None}


def json_schema() -> dict[str, Any]:
    """Give the JSON Schema of `infrastructure`."""
    schema: dict[str, Any] = _Holder.model_json_schema(by_alias=True)
    own = {key: value for key, value in schema["properties"]["infrastructure"].items() if key != "default"}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **own, "$defs": schema.get("$defs", {})}
