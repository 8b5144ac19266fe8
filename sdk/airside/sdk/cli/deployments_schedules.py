"""`airside deployments schedule`: the schedules of a deployment, one by one."""

from typing import Annotated, Any

import typer

from airside.sdk.cli import options, output, tree
from airside.sdk.cli.deployments_shared import Name, path_of, when
from airside.sdk.cli.failures import FAILED, Failure
from airside.sdk.cli.options import AsJson

app = tree.new_group(("deployments", "schedule"), "Look at the schedules of a deployment, and switch them off and on.")

Schedule = Annotated[str, typer.Argument(metavar="[SCHEDULE]", help="Its name. Not needed where there is one.")]


@app.command(epilog=tree.examples("airside deployments schedule ls nightly/prod"))
def ls(name: Name, as_json: AsJson = False) -> None:
    """List the schedules of a deployment, each with its next run."""
    with options.connect() as client:
        found = client.get(path_of(name))
    schedules, following = found["document"].get("schedules", []), found.get("next", [])
    if as_json:
        output.as_json(
            [{**one, "next": [run["at"] for run in following if run["schedule"] == _name(one)]} for one in schedules]
        )
        return
    rows = (
        (
            _name(one),
            when({**one, "enabled": True}),
            "yes" if one.get("enabled", True) else "no",
            next((at(run) for run in following if run["schedule"] == _name(one)), ""),
            one.get("parameters"),
        )
        for one in schedules
    )
    output.table(("SCHEDULE", "WHEN", "ON", "NEXT", "PARAMETERS"), rows, empty="no schedules")


@app.command(epilog=tree.examples("airside deployments schedule pause nightly/prod early"))
def pause(name: Name, schedule: Schedule = "", *, as_json: AsJson = False) -> None:
    """Let one schedule start nothing more; the others go on."""
    _switch(name, schedule, "pause", "paused", as_json=as_json)


@app.command(epilog=tree.examples("airside deployments schedule resume nightly/prod early"))
def resume(name: Name, schedule: Schedule = "", *, as_json: AsJson = False) -> None:
    """Let one schedule start runs again from now on."""
    _switch(name, schedule, "resume", "resumed", as_json=as_json)


def at(run: dict[str, Any]) -> str:
    """Write when a run is due, in the schedule's own zone: `2026-11-23 06:00:00+01:00 Europe/Amsterdam`."""
    return f"{run['at'].replace('T', ' ')} {run['timezone']}"


def _name(schedule: dict[str, Any]) -> str:
    return str(schedule.get("name", "schedule"))


def _switch(name: str, schedule: str, word: str, done: str, *, as_json: bool) -> None:
    from urllib.parse import quote

    with options.connect() as client:
        if not schedule:
            names = [_name(one) for one in client.get(path_of(name))["document"].get("schedules", [])]
            if len(names) != 1:
                listed = f"has {', '.join(names)}: say which" if names else "has no schedule"
                raise Failure(f"{name} {listed}", code=FAILED)
            schedule = names[0]
        client.request("POST", f"{path_of(name)}/schedules/{quote(schedule, safe='')}/{word}")
    said = {"deployment": name, "schedule": schedule, "paused": word == "pause"}
    output.done(f"schedule {schedule} of {name} is {done}", said, json=as_json)
