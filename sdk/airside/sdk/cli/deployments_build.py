"""`airside deployments build`: the file of a deployment, made of a flow."""

from pathlib import Path
from typing import Annotated, Any, Final
from urllib.parse import urlsplit

import typer

from airside.sdk.cli import output
from airside.sdk.cli.deployments_shared import checked, infrastructure, values
from airside.sdk.cli.failures import Failure

_BUCKETS: Final = ("s3", "gs", "gcs", "abfs", "abfss", "az", "sftp", "ssh")
_GIT: Final = ("git", "ssh", "http", "https", "file")

EXAMPLES: Final = (
    "airside deployments build flows/nightly.py:nightly -n prod --cron '0 6 * * *' --timezone Europe/Amsterdam",
    "airside deployments build load.py:load -n office --rrule 'FREQ=WEEKLY;BYDAY=MO,WE;BYHOUR=9' -p rows=100",
    "airside deployments build load.py:load -n prod --storage git+https://git.example/team/etl.git --ref main",
    "airside deployments build load.py:load -n prod --infra docker --infra image=flows:1 --infra memory=2Gi",
    "airside deployments build load.py:load -n prod --storage s3://code/etl --credentials env:ETL_BUCKET",
)


def build(
    entrypoint: Annotated[str, typer.Argument(metavar="FILE.py:FLOW", help="Where the flow is.")],
    name: Annotated[str, typer.Option("--name", "-n", help="Its full name becomes FLOW/NAME.")],
    *,
    queue: Annotated[str, typer.Option("--queue", "-q", help="Where its runs wait for an agent.")] = "default",
    cron: Annotated[list[str] | None, typer.Option("--cron", help="Five fields, local time. Repeat it.")] = None,
    every: Annotated[list[str] | None, typer.Option("--every", help="An interval, as 10m. Repeat it.")] = None,
    rrule: Annotated[
        list[str] | None, typer.Option("--rrule", help="A recurrence rule, as FREQ=WEEKLY;BYDAY=MO. Repeat it.")
    ] = None,
    at: Annotated[list[str] | None, typer.Option("--at", help="One moment, as 2027-01-31T18:00. Repeat it.")] = None,
    timezone: Annotated[
        str | None, typer.Option("--timezone", help="Of the schedules, as Europe/Amsterdam. Default: UTC.")
    ] = None,
    anchor: Annotated[
        str | None, typer.Option("--anchor", help="When --every counts from, and a recurrence rule begins.")
    ] = None,
    parameters: Annotated[
        list[str] | None, typer.Option("--parameter", "-p", help="NAME=VALUE, a JSON value or text. Repeat it.")
    ] = None,
    tags: Annotated[list[str] | None, typer.Option("--tag", help="Repeat it.")] = None,
    priority: Annotated[int, typer.Option("--priority", min=0, max=9, help="0 is served first.")] = 5,
    concurrency: Annotated[int, typer.Option("--concurrency", min=0, help="At most so many at once.")] = 0,
    on_full: Annotated[
        str, typer.Option("--on-full", help="With --concurrency: queue, cancel_new or cancel_running.")
    ] = "",
    retries: Annotated[int, typer.Option("--retries", min=0, help="In place of those of the flow.")] = 0,
    timeout: Annotated[str, typer.Option("--timeout", help="In place of that of the flow, as 1h.")] = "",
    storage: Annotated[
        str, typer.Option("--storage", help="path, folder, git+URL, or s3:// gs:// abfs:// sftp://.", metavar="WHERE")
    ] = "path",
    git: Annotated[str, typer.Option("--git", metavar="URL", help="The same as --storage git+URL.")] = "",
    ref: Annotated[str, typer.Option("--ref", help="Of a git repository: a branch, tag or commit.")] = "",
    folder: Annotated[str, typer.Option("--folder", help="The folder in the storage where the project is.")] = "",
    credentials: Annotated[
        str, typer.Option("--credentials", metavar="env:NAME", help="For the storage: a variable of the agent.")
    ] = "",
    infra: Annotated[
        list[str] | None,
        typer.Option("--infra", metavar="KIND|NAME=VALUE", help="As docker, or image=flows:1. Repeat it."),
    ] = None,
    file: Annotated[str, typer.Option("--output", "-o", help="The file to write; `-` is stdout.")] = "deployment.yaml",
) -> None:
    """Write the file of a deployment, to be read, changed and applied. Asks no server.

    Without --storage the code is run where it is now: the agent must find this folder. Never give a secret here:
    --credentials names a variable of the agent's environment.
    """
    from airside.sdk.deploying import document, writing
    from airside.sdk.flows import starting

    if on_full and not concurrency:
        raise Failure("--on-full goes with --concurrency")
    limit = {"limit": concurrency, **({"on_full": on_full} if on_full else {})} if concurrency else None
    where = _storage(f"git+{git}" if git else storage, ref=ref, folder=folder, credentials=credentials)
    flow = checked(lambda: starting.load(entrypoint))
    made = checked(
        lambda: document.build(
            flow,
            name,
            entrypoint=entrypoint,
            storage=where,
            queue=queue,
            cron=cron,
            every=every,
            rrule=rrule,
            at=at,
            timezone=timezone,
            anchor=anchor,
            parameters=values("--parameter", parameters, flow.parameters.json_schema()),
            tags=tags or (),
            priority=priority,
            concurrency=limit,
            retries=retries,
            timeout=timeout,
            infrastructure=infrastructure(infra),
        )
    )
    text = writing.to_yaml(made)
    if file == "-":
        output.line(text.rstrip("\n"))
        return
    Path(file).write_text(text, encoding="utf-8")
    output.line(f"{made.full_name} is in {file}; `airside deployments apply {file}` sends it")


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
