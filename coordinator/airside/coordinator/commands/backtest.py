"""`airside automations backtest`: when would these rules have fired?"""

import gc
import sys
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from airside.sdk.cli import options, output, tree
from airside.sdk.cli.failures import CANNOT, Failure
from airside.sdk.cli.options import AsJson, Utc

if TYPE_CHECKING:
    from airside.coordinator.comparing import Recorder
    from airside.triggers.backtest import Backtest
    from airside.triggers.model import Automation

#: New objects between two searches for cycles: folding makes none, and the default costs a third of the time.
_GC_THRESHOLD: Final = 200_000


def backtest(
    file: Annotated[str, typer.Argument(metavar="FILE", help="YAML file of automations; `-` reads stdin.")],
    *,
    events: Annotated[
        str | None,
        typer.Option(
            "--events",
            metavar="EXPORT",
            help="What `events export` wrote, or .gz of it; `-` reads stdin. Then no server is asked.",
        ),
    ] = None,
    since: Annotated[
        str | None, typer.Option("--since", help="Begin with what was received then: a time with a zone, or like 30d.")
    ] = None,
    until: Annotated[
        str | None, typer.Option("--until", help="Where the clock ends. It runs on to there after the last event.")
    ] = None,
    against: Annotated[
        str | None, typer.Option("--against", metavar="NAME", help="Put beside it what this automation did.")
    ] = None,
    utc: Utc = False,
    as_json: AsJson = False,
) -> None:
    """Replay the log through the engine and show when the rules of a file would have fired. Nothing is changed."""
    from airside.coordinator import comparing
    from airside.coordinator.commands import rules_file
    from airside.triggers.backtest import Backtest, listed

    if file == "-" and events == "-":
        raise Failure("FILE and --events cannot both be stdin")
    automations = rules_file.read(file)
    first, last = _moment("--since", since), _moment("--until", until)
    compared = _compared(automations, against)
    recorder = comparing.Recorder(against) if against is not None else None
    run = Backtest(automations, revisions=None if events else _revisions(automations), until=last)
    began = time.monotonic()
    firings = listed(_run(run, recorder, events, since, first))
    seconds = time.monotonic() - began
    if recorder is not None and compared is not None:
        firings = [firing for firing in firings if firing["automation"] == compared.name]
        _show_comparison(comparing.compare(firings, recorder.firings), utc=utc, as_json=as_json)
    elif as_json:
        output.as_json(firings)
    else:
        _show(automations, firings, utc=utc)
    output.note(_totals(run, len(firings), seconds, utc=utc))


backtest.epilog = tree.examples(  # type: ignore[attr-defined]
    "airside automations backtest rules.yaml --since 30d",
    "airside automations backtest rules.yaml --since 30d --against sales-by-nine",
    "airside automations backtest rules.yaml --events log.ndjson.gz --until 2026-11-22T12:00:00Z --json",
)


def _moment(option: str, text: str | None) -> int | None:
    from airside.coordinator import moments

    if text is None:
        return None
    try:
        return moments.parse(text)
    except ValueError as error:
        raise Failure(f"{option}: {error}") from error


def _compared(automations: "tuple[Automation, ...]", against: str | None) -> "Automation | None":
    from airside.coordinator import comparing

    if against is None:
        return None
    found = comparing.counterpart(automations, against)
    if found is None:
        names = ", ".join(automation.name for automation in automations)
        raise Failure(f"--against {against}: which of {names} is to take its place? Give a file with that one alone")
    return found


def _revisions(automations: "tuple[Automation, ...]") -> dict[str, int]:
    """Ask which revision each would have: the present one if nothing changes, else the next."""
    from airside.events import redaction

    with options.connect() as client:
        present = {item["name"]: item for item in client.get("/api/automations")["items"]}
    return {
        each.name: present[each.name]["revision"]
        + (present[each.name]["document"] != redaction.document(each.to_document()))
        for each in automations
        if each.name in present
    }


def _run(
    run: "Backtest", recorder: "Recorder | None", events: str | None, since: str | None, first: int | None
) -> "list[Any]":
    from airside.coordinator.commands import sources
    from airside.events import exported, stored

    gc.set_threshold(_GC_THRESHOLD, 100, 100)

    def fold(lines: Iterable[bytes]) -> list[Any]:
        records = exported.read(lines)
        if events is not None and first is not None:
            records = (record for record in records if record.received >= first)
        return list(run.run(recorder.watch(records) if recorder else records))

    if events is None:
        with sources.server({"since": since}) as (as_it_stands, lines):
            if not as_it_stands:
                return fold(lines)
            watch = recorder.look if recorder else None
            return [*run.fold(stored.read(lines), watch=watch), *run.finish()]
    try:
        with sources.export(events) as lines:
            return fold(lines)
    except exported.NotAnExport as error:
        raise Failure(f"{events}: {output.plain(str(error))}", code=CANNOT) from error
    except EOFError as error:
        raise Failure(f"{events}: cut off; the export is not whole", code=CANNOT) from error


def _show(automations: "tuple[Automation, ...]", firings: list[dict[str, Any]], *, utc: bool) -> None:
    """Print the firings of each automation, key by key. In a pipe it is one table."""
    if not sys.stdout.isatty():
        rows = [row for each in automations for row in _rows(each.name, firings, utc=utc)]
        output.table(("AUTOMATION", "KEY", "TIME", "OUTCOME", "WHY", "ID"), rows)
        return
    for automation in automations:
        rows = _rows(automation.name, firings, utc=utc)
        off = "" if automation.enabled else " (switched off in the file)"
        fired = sum(row[3] == "triggered" for row in rows)
        output.line(
            f"{automation.name}{off}: {'would have fired ' + _times(fired) if fired else 'would not have fired'}"
        )
        if rows:
            output.table(("KEY", "TIME", "OUTCOME", "WHY"), [row[1:-1] for row in rows])
        output.line()


def _rows(name: str, firings: list[dict[str, Any]], *, utc: bool) -> list[tuple[object, ...]]:
    rows = [
        (
            name,
            _key(firing["key"]),
            output.moment(firing["time"], utc=utc),
            firing["outcome"],
            firing["reason"],
            firing["id"],
        )
        for firing in firings
        if firing["automation"] == name
    ]
    return sorted(rows, key=lambda row: output.plain(row[1]))  # stable: in order of time within a key


def _show_comparison(found: Any, *, utc: bool, as_json: bool) -> None:
    if as_json:
        output.as_json(found.to_dict())
        return
    groups = [("both", new, present) for new, present in found.both]
    groups += [("only new", new, None) for new in found.only_new]
    groups += [("only present", None, present) for present in found.only_present]
    rows = []
    for group, new, present in groups:
        firing = new or present
        did = f"revision {present['revision']} at {output.moment(present['decided'], utc=utc)}" if present else "no"
        rows.append(
            (
                group,
                _key(firing["key"]),
                output.moment(firing["time"], utc=utc),
                firing["outcome"],
                "yes" if new else "no",
                did,
                firing["reason"],
            )
        )
    headers = ("GROUP", "KEY", "TIME", "OUTCOME", "WOULD FIRE", "DID FIRE", "WHY")
    output.table(headers, rows, empty="neither would have fired, nor did")


def _key(key: dict[str, Any], path: str = "") -> str:
    """Write a key on one line: `resource.id=job://a`."""
    parts = [
        _key(value, f"{path}{name}.") if isinstance(value, dict) else f"{path}{name}={output.plain(value)}"
        for name, value in key.items()
    ]
    return " ".join(parts)


def _times(number: int) -> str:
    return {1: "once", 2: "twice"}.get(number, f"{number:,} times")


def _totals(run: "Backtest", firings: int, seconds: float, *, utc: bool) -> str:
    from airside.triggers.entry import iso

    if run.began is None:
        return "no events: nothing was decided"
    rate = f" ({run.entries / seconds:,.0f} a second)" if seconds > 1 else ""
    cut = "; what came later was left out" if run.cut_short else ""
    first, last = (output.moment(iso(each), utc=utc) for each in (run.began, run.now))
    return (
        f"{output.count(run.entries, 'event')}, {output.count(run.ticks, 'tick')} among them, from {first} to {last}"
        f"{cut}: {output.count(firings, 'firing')} in {output.lasted(seconds)}{rate}"
    )
