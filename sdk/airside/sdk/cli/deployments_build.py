"""`airside deployments build`: the file of a deployment, made of a flow."""

from pathlib import Path
from traceback import walk_tb
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeAlias
from urllib.parse import urlsplit

import typer

from airside.sdk.cli import output
from airside.sdk.cli.deployments_shared import checked, infrastructure, values
from airside.sdk.cli.failures import Failure

if TYPE_CHECKING:
    from airside.sdk.flows.flow import Flow

_BUCKETS: Final = ("s3", "gs", "gcs", "abfs", "abfss", "az", "sftp", "ssh")
_GIT: Final = ("git", "ssh", "http", "https", "file")

EXAMPLES: Final = (
    "airside deployments build flows/nightly.py:nightly -n prod --cron '0 6 * * *' --timezone Europe/Amsterdam",
    "airside deployments build load.py:load -n office --rrule 'FREQ=WEEKLY;BYDAY=MO,WE;BYHOUR=9' -p rows=100",
    "airside deployments build load.py:load -n prod --storage git+https://git.example/team/etl.git --ref main",
    "airside deployments build load.py:load -n prod --infra docker --infra image=flows:1 --infra memory=2Gi",
    "airside deployments build load.py:load -n prod --storage s3://code/etl --credentials env:ETL_BUCKET",
)


_Texts: TypeAlias = list[str] | None
_Entrypoint = Annotated[str, typer.Argument(metavar="FILE.py:FLOW", help="Where the flow is.")]
_Name = Annotated[str, typer.Option("--name", "-n", help="Its full name becomes FLOW/NAME.")]
_Queue = Annotated[str, typer.Option("--queue", "-q", help="Where its runs wait for an agent.")]
_Cron = Annotated[_Texts, typer.Option("--cron", help="Five fields, local time. Repeat it.")]
_Every = Annotated[_Texts, typer.Option("--every", help="An interval, as 10m. Repeat it.")]
_Rrule = Annotated[_Texts, typer.Option("--rrule", help="A recurrence rule, as FREQ=WEEKLY;BYDAY=MO. Repeat it.")]
_At = Annotated[_Texts, typer.Option("--at", help="One moment, as 2027-01-31T18:00. Repeat it.")]
_Zone = Annotated[str, typer.Option("--timezone", help="Of the schedules, as Europe/Amsterdam. Default: UTC.")]
_Anchor = Annotated[str, typer.Option("--anchor", help="When --every counts from, and a recurrence rule begins.")]
_Values = Annotated[_Texts, typer.Option("--parameter", "-p", help="NAME=VALUE, a JSON value or text. Repeat it.")]
_Tags = Annotated[_Texts, typer.Option("--tag", help="Repeat it.")]
_Priority = Annotated[int, typer.Option("--priority", min=0, max=9, help="0 is served first.")]
_Concurrency = Annotated[int, typer.Option("--concurrency", min=0, help="At most so many at once.")]
_OnFull = Annotated[str, typer.Option("--on-full", help="With --concurrency: queue, cancel_new or cancel_running.")]
_Retries = Annotated[int, typer.Option("--retries", min=0, help="In place of those of the flow.")]
_Timeout = Annotated[str, typer.Option("--timeout", help="In place of that of the flow, as 1h.")]
_Where = Annotated[
    str, typer.Option("--storage", help="path, folder, git+URL, or s3:// gs:// abfs:// sftp://.", metavar="WHERE")
]
_Git = Annotated[str, typer.Option("--git", metavar="URL", help="The same as --storage git+URL.")]
_Ref = Annotated[str, typer.Option("--ref", help="Of a git repository: a branch, tag or commit.")]
_Folder = Annotated[str, typer.Option("--folder", help="The folder in the storage where the project is.")]
_Credentials = Annotated[
    str, typer.Option("--credentials", metavar="env:NAME", help="For the storage: a variable of the agent.")
]
_Infra = Annotated[
    _Texts, typer.Option("--infra", metavar="KIND|NAME=VALUE", help="As docker, or image=flows:1. Repeat it.")
]
_File = Annotated[str, typer.Option("--output", "-o", help="The file to write; `-` is stdout.")]


def build(
    entrypoint: _Entrypoint,
    name: _Name,
    *,
    queue: _Queue = "default",
    cron: _Cron = None,
    every: _Every = None,
    rrule: _Rrule = None,
    at: _At = None,
    timezone: _Zone = "",
    anchor: _Anchor = "",
    parameters: _Values = None,
    tags: _Tags = None,
    priority: _Priority = 5,
    concurrency: _Concurrency = 0,
    on_full: _OnFull = "",
    retries: _Retries = 0,
    timeout: _Timeout = "",
    storage: _Where = "path",
    git: _Git = "",
    ref: _Ref = "",
    folder: _Folder = "",
    credentials: _Credentials = "",
    infra: _Infra = None,
    file: _File = "deployment.yaml",
) -> None:
    """Write the file of a deployment, to be read, changed and applied. Asks no server.

    Without --storage the code is run where it is now: the agent must find this folder. Never give a secret here:
    --credentials names a variable of the agent's environment.
    """

    _check_place(entrypoint)
    where = _storage(f"git+{git}" if git else storage, ref=ref, folder=folder, credentials=credentials)
    flow = checked(lambda: _imported(entrypoint))
    given = {
        "entrypoint": entrypoint,
        "storage": where,
        "queue": queue,
        "cron": cron,
        "every": every,
        "rrule": rrule,
        "at": at,
        "timezone": timezone,
        "anchor": anchor,
        "parameters": values("--parameter", parameters, flow.parameters.json_schema()),
        "tags": tags or (),
        "priority": priority,
        "concurrency": _concurrency(concurrency, on_full),
        "retries": retries,
        "timeout": timeout,
        "infrastructure": infrastructure(infra),
    }
    _write(flow, name, given, file)


def _write(flow: "Flow[..., Any]", name: str, given: dict[str, Any], file: str) -> None:
    from airside.sdk.deploying import document, writing

    made = checked(lambda: document.build(flow, name, **given))
    text = writing.to_yaml(made)
    if file == "-":
        output.line(text.rstrip("\n"))
        return
    Path(file).write_text(text, encoding="utf-8")
    output.line(f"{made.full_name} is in {file}; `airside deployments apply {file}` sends it")


def _check_place(entrypoint: str) -> None:
    """Refuse a file that is not below this folder: in its storage the agent would not find it."""
    file = Path(entrypoint.rpartition(":")[0])
    if file.is_file() and not file.resolve().is_relative_to(Path.cwd().resolve()):
        raise Failure(f"{entrypoint}: must be below this folder", hint="run the command in the project's folder")


def _concurrency(limit: int, on_full: str) -> dict[str, Any] | None:
    if on_full and not limit:
        raise Failure("--on-full goes with --concurrency")
    return {"limit": limit, **({"on_full": on_full} if on_full else {})} if limit else None


def _storage(where: str, **more: str) -> dict[str, Any]:
    """Read what --storage says. Raises Failure."""
    given = {key: value for key, value in more.items() if value}
    if where in ("path", "folder"):
        if "ref" in given or "credentials" in given:
            raise Failure("--ref and --credentials go with a storage elsewhere: --storage git+URL, or s3://…")
        return {"kind": where, "path": str(Path.cwd()), **given}
    scheme = urlsplit(where).scheme
    kind, _, inner = scheme.partition("+")
    if where.startswith("git@") or (kind == "git" and (not inner or inner in _GIT)):
        return {"kind": "git", "url": where.removeprefix("git+"), **given}
    if scheme in _BUCKETS:
        if "ref" in given:
            raise Failure("--ref goes with a git repository")
        return {"kind": "fsspec", "url": where, **given}
    hint = f"for a git repository: --storage git+{where}" if scheme in _GIT else ""
    raise Failure(
        f"--storage: `{output.plain(where)}` must be path, folder, git+URL, or an address of {', '.join(_BUCKETS)}",
        hint=hint,
    )


def _imported(entrypoint: str) -> "Flow[..., Any]":
    """Import the flow's file: what it takes is read from there. Raises Failure for what the file raises."""
    from airside.sdk.flows import starting
    from airside.sdk.flows.exceptions import FlowError, trace_of

    try:
        return starting.load(entrypoint)
    except FlowError:
        raise
    except Exception as error:
        file = entrypoint.rpartition(":")[0]
        lines = [
            line for frame, line in walk_tb(trace_of(error)) if frame.f_code.co_filename == str(Path(file).resolve())
        ]
        said = str(error) if isinstance(error, SyntaxError) or not lines else f"{error} (line {lines[-1]})"
        hint = "install it here too" if isinstance(error, ModuleNotFoundError) else ""
        raise Failure(f"{file} cannot be imported: {type(error).__name__}: {said}", hint=hint) from error
