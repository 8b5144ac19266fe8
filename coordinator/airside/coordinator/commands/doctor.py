"""`airside doctor`: looks at this machine and at the server, and says what to do about what it finds."""

import typer

from airside.sdk.cli import output, tree
from airside.sdk.cli.failures import FAILED
from airside.sdk.cli.options import AsJson


def doctor(*, as_json: AsJson = False) -> None:
    """Check this machine and the server that AIRSIDE_URL names, whether or not it runs.

    Each finding says what is wrong, why it matters and what mends it. Exit code 1 when one has failed, else 0.
    """
    from airside.coordinator.commands import checks

    found = checks.run()
    if as_json:
        output.as_json([check.to_dict() for check in found])
    else:
        width = max(len(check.name) for check in found)
        for check in found:
            output.line(output.plain(f"{check.state:<4}  {check.name:<{width}}  {check.says}"))
            for what, text in (("why", check.why), ("do", check.todo)):
                if text:
                    output.line(output.plain(f"{'':{width + 6}}  {what}: {text}"))
    if any(check.state == "fail" for check in found):
        raise typer.Exit(FAILED)


doctor.epilog = tree.examples("airside doctor", "airside doctor --json")  # type: ignore[attr-defined]
