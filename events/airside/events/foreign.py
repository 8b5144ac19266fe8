"""Plain values out of what other tools wrote: lenient, for a foreign field that is odd must not cost the event."""

from datetime import UTC, datetime


def word(value: object) -> str:
    """Write an enum or its text as a plain lower-case word: `DagRunState.RUNNING`, `running`."""
    text = value if isinstance(value, str) else str(getattr(value, "value", value or ""))
    return text.rpartition(".")[2].strip("<>' ").lower()


def number(value: object, default: int) -> int:
    """Take a whole number; anything else is the default."""
    return value if type(value) is int and abs(value) < 2**31 else default


def moment(value: object) -> datetime | None:
    """Read a time, from text too; one without a zone is UTC. None for anything else."""
    if isinstance(value, str) and value:
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            return None
    if not isinstance(value, datetime):
        return None
    try:
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    except OverflowError:
        return None


def iso(value: object) -> str | None:
    """Write a time in one way, so that equal times are equal text; None for anything else."""
    found = moment(value)
    return found.isoformat(timespec="microseconds") if found else None
