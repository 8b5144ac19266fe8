"""`airside query`: read-only SQL on the views."""

import sys
from typing import Annotated

import typer

from airside.sdk.cli import options, output, tree
from airside.sdk.cli.failures import Failure
from airside.sdk.cli.options import AsJson


def query(
    sql: Annotated[str, typer.Argument(metavar="SQL", help="One SELECT; `-` reads it from stdin.")],
    *,
    parameter: Annotated[
        list[str] | None, typer.Option("--parameter", "-p", help="Value for the next `?` in the SQL, as text.")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=100_000, help="At most so many rows.")] = 10_000,
    timeout: Annotated[float, typer.Option("--timeout", min=0.1, max=60.0, help="Seconds it may take.")] = 10.0,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV with a header.")] = False,
    as_json: AsJson = False,
) -> None:
    """Run one read-only SELECT on the views: events, resources, firings, actions, automations.

    --json prints a list of row objects. Times are UTC.
    """
    if as_csv and as_json:
        raise Failure("--csv and --json exclude each other")
    text = sys.stdin.read() if sql == "-" else sql
    with options.connect() as client:
        answer = client.query(text, list(parameter or []), limit=limit, timeout_seconds=timeout)
    names = _distinct([column["name"] for column in answer["columns"]])
    if as_json:
        output.as_json([dict(zip(names, row, strict=True)) for row in answer["rows"]])
    elif as_csv:
        _print_csv(names, answer["rows"])
    else:
        output.table(names, answer["rows"], empty="no rows")
    if answer["truncated"]:
        output.note(f"only the first {output.count(len(answer['rows']), 'row')}; raise --limit or narrow the query")


query.epilog = tree.examples(  # type: ignore[attr-defined]
    'airside query "SELECT type, count(*) AS n FROM events GROUP BY type ORDER BY n DESC"',
    'airside query "SELECT id, state FROM resources WHERE kind = ?" -p table --json',
    'airside query "SELECT * FROM firings" --csv > firings.csv',
)


def _distinct(names: list[str]) -> list[str]:
    """Number columns of equal name, so that no value of a row object is lost."""
    seen: dict[str, int] = {}
    found = []
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        found.append(name if seen[name] == 1 else f"{name}_{seen[name]}")
    return found


def _print_csv(names: list[str], rows: list[list[object]]) -> None:
    import csv
    import json

    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(names)
    for row in rows:
        writer.writerow(json.dumps(cell) if isinstance(cell, dict | list) else cell for cell in row)
