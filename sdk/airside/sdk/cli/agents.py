"""`airside agents`: who carries runs out."""

from typing import Any

from airside.sdk.cli import options, output, tree
from airside.sdk.cli.options import AsJson, Utc

app = tree.new_group(("agents",), "See which agents there are, and which are alive.")


@app.command(epilog=tree.examples("airside agents ls", "airside agents ls --json"))
def ls(utc: Utc = False, as_json: AsJson = False) -> None:
    """List agents, with their queues, what they run and watch, and what they can start."""
    with options.connect() as client:
        found = client.get("/api/agents")["items"]
    if as_json:
        output.as_json(found)
        return
    rows = (
        (
            item["name"],
            "alive" if item["alive"] else "lost",
            ", ".join(item["queues"]) or "(none)",
            len(item["running"]),
            item["limit"],
            item["version"],
            ", ".join(item["capabilities"].get("infrastructure", ())),
            _watchers(item),
            output.moment(item["seen"], utc=utc),
            item["id"],
        )
        for item in found
    )
    headers = ("NAME", "STATE", "QUEUES", "RUNNING", "LIMIT", "VERSION", "STARTS", "WATCHES", "LAST HEARD", "ID")
    output.table(headers, rows, empty="no agents")


def _watchers(item: dict[str, Any]) -> str:
    """Name its watchers; one that cannot see what it watches is marked."""
    found = item.get("watchers") or ()
    return ", ".join(f"{one['name']} (blind)" if one.get("trouble") else str(one["name"]) for one in found)
