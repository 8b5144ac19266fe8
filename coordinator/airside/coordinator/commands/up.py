"""`airside up`: everything, embedded, in one process tree."""

from pathlib import Path
from typing import Annotated, Any

import typer


def up(
    *,
    home: Annotated[Path | None, typer.Option(help="Folder for everything this coordinator keeps.")] = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on; 0 takes any free one.")] = None,
    nats_url: Annotated[
        str | None, typer.Option(help="Use this NATS server or cluster instead of the embedded one.")
    ] = None,
    replicas: Annotated[int | None, typer.Option(help="Copies of each stream, in a cluster.")] = None,
    tls_cert: Annotated[Path | None, typer.Option(help="Certificate (PEM), wanted off loopback.")] = None,
    tls_key: Annotated[Path | None, typer.Option(help="Its key (PEM).")] = None,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Log what happens inside.")] = False,
) -> None:
    """Run Airside: log, views, rules, actions and API, until Ctrl-C.

    Settings also come from AIRSIDE_* variables and from airside.toml.

    Examples:

      airside up

      airside up --home ./airside-home --port 7701

      airside up --nats-url nats://nats-1:4222,nats://nats-2:4222 --replicas 3
    """
    given = {
        "home": home,
        "host": host,
        "port": port,
        "nats_url": nats_url,
        "replicas": replicas,
        "tls_cert": tls_cert,
        "tls_key": tls_key,
    }
    raise typer.Exit(_run({key: value for key, value in given.items() if value is not None}, verbose))


def _run(given: dict[str, Any], verbose: bool) -> int:
    """Run until stopped; give the exit code: 0 after a signal, 2 when it could not start."""
    import logging
    import tomllib

    import pydantic

    try:
        import uvloop

        from airside.coordinator.server import serve
        from airside.coordinator.settings import ServerSettings
    except ModuleNotFoundError as error:
        typer.echo(f"airside up needs the server: pip install 'airside[server]' ({error})", err=True)
        return 2
    from airside.events.exceptions import AirsideError

    logging.basicConfig(
        level=logging.INFO if verbose else logging.WARNING,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
    )
    try:
        settings = ServerSettings(**given)
        uvloop.run(serve(settings, _announce))
    except pydantic.ValidationError as error:
        for problem in error.errors(include_url=False):
            where = ".".join(str(part) for part in problem["loc"])
            typer.echo(f"{where or 'settings'}: {problem['msg'].removeprefix('Value error, ')}", err=True)
        return 2
    except tomllib.TOMLDecodeError as error:
        typer.echo(f"airside.toml is not valid TOML: {error}", err=True)
        return 2
    except AirsideError as error:
        typer.echo(str(error), err=True)
        return 2
    typer.echo("Airside has stopped.")
    return 0


async def _announce(coordinator: Any, url: str) -> None:
    """Say that it is ready, where it answers, and where its files are."""
    token = await _first_token(coordinator)
    typer.echo(f"Airside is ready.\n  API and page  {url}")
    if nats := coordinator.addresses.get("nats"):
        typer.echo(f"  NATS          {nats} (embedded)")
    typer.echo(f"  files         {coordinator.home.path}")
    if token:
        typer.echo(f"  admin token   {token}\n                (shown this once; `airside tokens` makes others)")
    typer.echo("Stop with Ctrl-C.")


async def _first_token(coordinator: Any) -> str | None:
    """Make the first token where tokens are wanted and none exists."""
    if not coordinator.auth_required or await coordinator.tokens.all():
        return None
    from airside.coordinator.tokens import Role

    created = await coordinator.tokens.create("first admin", Role.ADMIN)
    return str(created[1])
