"""`airside hooks`: addresses for other tools' webhooks."""

import os
import sys
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from airside.sdk.cli import options, output, tree
from airside.sdk.cli.failures import Failure
from airside.sdk.cli.options import AsJson, Utc

app = tree.new_group(("hooks",), "Take other tools' webhooks as events.")

Name = Annotated[str, typer.Argument(metavar="NAME", help="As `airside hooks ls` shows it.")]
_FROM_VARIABLE: Final = "env:"


@app.command(
    epilog=tree.examples(
        "airside hooks create shop-repo --preset github",
        "airside hooks create nightly --template nightly.yaml --signature hmac --header X-Nightly-Signature",
        "airside hooks create payments --preset stripe --secret env:STRIPE_SECRET",
    )
)
def create(
    name: Annotated[str, typer.Argument(help="For the list, and as `hook://NAME` on the events.")],
    *,
    preset: Annotated[str, typer.Option("--preset", help="What sends; `airside hooks presets` lists them.")] = "",
    template: Annotated[
        str, typer.Option("--template", metavar="FILE", help="A template of your own instead; `-` reads stdin.")
    ] = "",
    signature: Annotated[
        str,
        typer.Option(
            "--signature",
            help="standard, github, slack, stripe, pagerduty, dbt, gitlab, hmac, token or none."
            " Default: as the preset or the template says.",
        ),
    ] = "",
    header: Annotated[str, typer.Option("--header", help="Where the token, or the hmac, stands.")] = "",
    secret: Annotated[
        str, typer.Option("--secret", metavar="env:NAME", help="The sender's own secret; `-` reads stdin.")
    ] = "",
    workspace: Annotated[str, typer.Option("--workspace", help="Whose events they are. Default: the token's.")] = "",
    as_json: AsJson = False,
) -> None:
    """Make a hook: an address that nobody can guess, and a secret, which is printed once."""
    if bool(preset) == bool(template):
        raise Failure("give either --preset or --template", hint="`airside hooks presets` lists the presets")
    if template == "-" and secret == "-":  # noqa: S105 - the option's word for stdin
        raise Failure("--template and --secret cannot both be stdin")
    body: dict[str, Any] = {
        "name": name,
        "preset": preset,
        "template": _text(template) if template else "",
        "signature": signature,
        "header": header,
        "workspace": workspace,
        "secret": _secret(secret),
    }
    with options.connect() as client:
        made = client.request("POST", "/api/hooks", body={key: value for key, value in body.items() if value})
        made["url"] = f"{client.url.rstrip('/')}{made['path']}"
    if as_json:
        output.as_json(made)
        return
    output.note(f"hook {made['name']}, signature {made['signature']}; give the sender this address:")
    output.line(made["url"])
    if secret or not made["secret"]:
        return
    output.note("and this secret; keep it, nobody can read it again:")
    output.line(made["secret"])


@app.command(epilog=tree.examples("airside hooks ls --json"))
def ls(utc: Utc = False, as_json: AsJson = False) -> None:
    """List hooks, with what came to each. Secrets are not shown."""
    with options.connect() as client:
        found = client.get("/api/hooks")["items"]
    if as_json:
        output.as_json(found)
        return
    rows = (
        (
            item["name"],
            item["preset"] or "(template)",
            item["signature"],
            item["path"],
            output.moment(item["last_received"], utc=utc) or "never",
            item["counts"]["accepted"],
            item["counts"]["refused"],
            item["counts"]["unmapped"],
        )
        for item in found
    )
    headers = ("NAME", "PRESET", "SIGNATURE", "PATH", "LAST RECEIVED", "ACCEPTED", "REFUSED", "UNMAPPED")
    output.table(headers, rows, empty="no hooks")


@app.command(epilog=tree.examples("airside hooks show shop-repo"))
def show(name: Name, utc: Utc = False, as_json: AsJson = False) -> None:
    """Show a hook with its template and what came to it."""
    from airside.sdk.client import path

    with options.connect() as client:
        found = client.get(path("hooks", name))
        url = f"{client.url.rstrip('/')}{found['path']}"
    if as_json:
        output.as_json(found)
        return
    output.fields(
        [
            ("name", found["name"]),
            ("address", url),
            ("preset", found["preset"]),
            ("signature", found["signature"]),
            ("header", found["header"]),
            ("workspace", found["workspace"]),
            ("created", output.moment(found["created"], utc=utc)),
            ("last received", output.moment(found["last_received"], utc=utc) or "never"),
            *found["counts"].items(),
        ]
    )
    output.line()
    for line in found["template"].splitlines():
        output.line(output.plain(line))


@app.command(epilog=tree.examples("airside hooks rm shop-repo"))
def rm(name: Name, *, as_json: AsJson = False) -> None:
    """Remove a hook: its address answers 404 from now on. The events that came through it stay."""
    from airside.sdk.client import path

    with options.connect() as client:
        client.request("DELETE", path("hooks", name))
    output.done(f"removed {name}", {"name": name, "removed": True}, json=as_json)


def _text(file: str) -> str:
    try:
        return sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8")
    except OSError as error:
        raise Failure(f"cannot read {file}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise Failure(f"cannot read {file}: not UTF-8 text") from error


def _secret(given: str) -> str:
    """Read the secret from where `--secret` says; never from the command line, which other users can read."""
    if not given:
        return ""
    if given == "-":
        found = sys.stdin.readline().rstrip("\r\n")
    elif given.startswith(_FROM_VARIABLE):
        found = os.environ.get(given.removeprefix(_FROM_VARIABLE), "")
    else:
        raise Failure("--secret: give `env:NAME` or `-`, not the secret itself", hint="other users can read commands")
    if not found:
        raise Failure(f"--secret {given}: there is nothing")
    return found
