"""What `airside doctor` asks the server that AIRSIDE_URL names."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Final

from airside.coordinator.commands.findings import Check
from airside.sdk.client import Client
from airside.sdk.exceptions import ClientError, Unauthorised

MAX_CLOCK_SECONDS: Final = 2.0
MAX_LAG: Final = 1_000
_FAILED_PART = re.compile(r"(\w[\w-]*) failed: (.*)", re.DOTALL)
_BROKER: Final = ("the disk is full", "the log could not write", "the log has not answered", "nats-server ended")


def run(client: Client) -> Iterator[Check]:
    """Make all checks; the first tells whether there is a server to ask."""
    try:
        there = client.server_time()
    except ClientError as error:
        why = "without a server nothing takes events and nothing decides; agents and SDKs keep theirs for later"
        todo = "start one with `airside up`, or set AIRSIDE_URL to where it is"
        if "CERTIFICATE_VERIFY_FAILED" in str(error):
            why, todo = (
                "its certificate is not one that this machine trusts",
                "set SSL_CERT_FILE to the CA (PEM) that signed it",
            )
        yield Check("server", "fail", str(error), why, todo)
        return
    yield Check("server", "ok", f"{client.url} answers")
    yield _clock(there)
    try:
        at = client.get("/api/status")
    except Unauthorised as error:
        todo = "an administrator makes one: airside tokens create NAME --role viewer; then export AIRSIDE_TOKEN=…"
        yield Check("access", "fail", str(error), "this server wants a token", todo)
        return
    except ClientError as error:
        yield Check("access", "fail", str(error), "the server is up but in trouble", "read what `airside up` printed")
        return
    yield _version(at["version"])
    yield from _readiness(at)
    for name, meaning in (("views", "lists and SQL are that much behind"), ("engine", "rules fire that much late")):
        yield _lag(name, at[name], meaning)
    yield from _log_clock(at["engine"]["now"], there or datetime.now(UTC))
    yield from _dead_letters(at)
    for warning in at.get("warnings", ()):
        if warning["about"] != "dead letters":
            yield Check(warning["about"], "warn", warning["says"], "", warning["todo"])


def _clock(there: datetime | None) -> Check:
    why = "deadlines are judged by the server's clock, an event's `time` is written by yours"
    if there is None:
        return Check("clock", "warn", "what answers does not tell the time", why, "look for a proxy that drops `Date`")
    apart = (there - datetime.now(UTC)).total_seconds()
    # The server's time is cut to whole seconds.
    if abs(apart) > MAX_CLOCK_SECONDS + 1:
        says = f"the server's is {abs(apart):,.0f} s {'ahead of' if apart > 0 else 'behind'} this machine's"
        return Check("clock", "fail", says, why, "synchronise both: timedatectl set-ntp true")
    return Check("clock", "ok", "agrees with the server's")


def _log_clock(now: str | None, wall: datetime) -> Iterator[Check]:
    """See that the log's clock, which never goes back, is not ahead of a server's clock that was set back."""
    if now is None:
        return
    ahead = (datetime.fromisoformat(now) - wall).total_seconds()
    if ahead > MAX_CLOCK_SECONDS + 1:
        says = f"the log's clock is {ahead:,.0f} s ahead: the server's was wrong, or is wrong now"
        why = "deadlines are judged by the log's clock, which stands still until the server's has caught up"
        yield Check("log clock", "warn", says, why, "see that the server's clock is right: timedatectl; then wait")


def _version(theirs: str) -> Check:
    try:
        ours = version("airside")
    except PackageNotFoundError:
        ours = "unknown"
    if ours != theirs:
        why = "one may send what the other does not know"
        return Check("version", "warn", f"{ours} here, {theirs} there", why, f"pip install 'airside=={theirs}'")
    return Check("version", "ok", ours)


def _readiness(at: dict[str, Any]) -> Iterator[Check]:
    """Tell log, broker and parts apart in the reasons why the server is not ready."""
    if at["damage"]:
        todo = "restore nats/data from a backup or a healthy replica; docs/operations.md, `When something is wrong`"
        yield Check("log", "fail", f"damaged: {at['damage']}", "nothing is decided until somebody has looked", todo)
        return
    reading = []
    for reason in at["not_ready"]:
        if reason.startswith(_BROKER):
            todo = "make room, see `disk space`" if "disk" in reason else "see the server's output, `airside up -v`"
            yield Check("broker", "fail", reason, "no event is acknowledged until it is over", todo)
        elif failed := _FAILED_PART.fullmatch(reason):
            why = "it is tried again by itself; what depends on it stands still until then"
            todo = "if it stays so, start Airside again, and keep what `airside up -v` prints"
            yield Check(f"part {failed[1]}", "fail", failed[2], why, todo)
        else:
            reading.append(reason)
    if reading:
        todo = "wait; `airside status` shows how far it is"
        yield Check("log", "warn", "; ".join(reading), "what is not read in is not in lists, nor decided on", todo)
    elif at["log"]["last"] or not at["not_ready"]:
        yield Check("log", "ok", f"{at['log']['last']:,} entries, {at['log']['bytes'] / 1e6:,.1f} MB")


def _lag(name: str, reader: dict[str, Any], meaning: str) -> Check:
    if reader["lag"] > MAX_LAG:
        says = f"{reader['lag']:,} entries behind the log"
        return Check(name, "warn", says, meaning, "wait; if it does not shrink, give the server more CPU or send less")
    return Check(name, "ok", f"at position {reader['position']:,}")


def _dead_letters(at: dict[str, Any]) -> Iterator[Check]:
    if (count := at["counts"].get("dead_letters")) is None:
        return
    if count:
        says = f"{count:,} log entries could not be folded"
        why = "they are in no list and no rule saw them; only a writer past the gateway can have sent them"
        yield Check("dead letters", "warn", says, why, "airside events dead-letters")
    else:
        yield Check("dead letters", "ok", "none")
