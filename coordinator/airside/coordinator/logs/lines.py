"""One log line: read from what is posted, bounded, tokens masked, written for the stream."""

import logging
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Final

import msgspec

from airside.events import masking
from airside.events.exceptions import AirsideError, Problem

MAX_LINES: Final = 10_000
_MAX_MESSAGE: Final = 32_768
_MAX_NAME: Final = 200
#: Lines in one message of the stream: a line's position is the message's number times this, plus its place there.
PER_MESSAGE: Final = 1_000
_MESSAGE_CHARS: Final = 150_000
_RUN: Final = "run://airside/"

_Id = Annotated[str, msgspec.Meta(min_length=1, max_length=1_000)]


class BadLines(AirsideError):
    """What was posted are no log lines."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = list(problems)
        super().__init__("; ".join(f"{problem.field}: {problem.message}" for problem in problems))


class Posted(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A line as it is posted. `time` has a zone; `level` is a name or a number of Python's logging."""

    run: _Id
    time: Annotated[datetime, msgspec.Meta(tz=True)]
    message: str
    task_run: _Id | None = None
    level: str | int = "INFO"
    logger: str = ""


class Line(msgspec.Struct, frozen=True, array_like=True):
    """A line as it is kept. `time` in microseconds since 1970, `level` a number as in Python's logging."""

    run: str
    task_run: str | None
    time: int
    level: int
    logger: str
    message: str

    def shown(self, position: int) -> dict[str, Any]:
        """Write the line as the API shows it."""
        seconds, micros = divmod(self.time, 1_000_000)
        moment = datetime.fromtimestamp(seconds, UTC).replace(microsecond=micros)
        return {
            "position": position,
            "run": self.run,
            "task_run": self.task_run,
            "time": moment.isoformat(timespec="microseconds").replace("+00:00", "Z"),
            "level": level_name(self.level),
            "logger": self.logger,
            "message": self.message,
        }


_list: Final = msgspec.json.Decoder(list[msgspec.Raw])
_one: Final = msgspec.json.Decoder(Posted)
_kept: Final = msgspec.json.Decoder(list[Line])


def read(body: bytes) -> list[Line]:
    """Read a JSON list, one object, or NDJSON. Raises BadLines naming the line, from 0, and the field."""
    begin = body.lstrip()[:1]
    try:
        rows: Sequence[Any] = _list.decode(body) if begin == b"[" else [row for row in body.splitlines() if row.strip()]
    except msgspec.MsgspecError as error:
        raise BadLines([Problem("", f"not valid JSON: {error}")]) from error
    if len(rows) > MAX_LINES:
        raise BadLines([Problem("", f"{len(rows):,} lines; at most {MAX_LINES:,} in one request")])
    found, problems = [], []
    for number, row in enumerate(rows):
        try:
            found.append(_line(_one.decode(row)))
        except (msgspec.MsgspecError, ValueError, OverflowError) as error:
            text, _, place = str(error).partition(" - at `$")
            problems.append(Problem(f"{number}{place.rstrip('`')}", text))
    if problems:
        raise BadLines(problems)
    return found


def run_id(text: str) -> str:
    """Give a run's id as a resource, of one that may be the bare id."""
    return text if "://" in text else f"{_RUN}{text}"


def level_number(level: str | int) -> int:
    """Turn a level's name or number into its number, 0 to 100. Raises ValueError."""
    if isinstance(level, str) and level.strip().isdecimal():
        level = int(level)
    number = level if isinstance(level, int) else logging.getLevelNamesMapping().get(level.strip().upper())
    if number is None or not 0 <= number <= 100:
        raise ValueError("level must be debug, info, warning, error, critical, or a number from 0 to 100")
    return number


def level_name(number: int) -> str:
    """Name a level: of a number between two names, the lower one."""
    return next((name for least, name in _NAMES if number >= least), "DEBUG")


_NAMES: Final = ((50, "CRITICAL"), (40, "ERROR"), (30, "WARNING"), (20, "INFO"))


def messages(lines: Sequence[Line]) -> Iterator[tuple[str, bytes]]:
    """Write lines as messages of the stream, each of one run, in their order: (run, body)."""
    held: dict[str, tuple[list[Line], int]] = {}
    for line in lines:
        some, size = held.setdefault(line.run, ([], 0))
        size += len(line.message) + 100
        if some and (len(some) >= PER_MESSAGE or size > _MESSAGE_CHARS):
            yield line.run, msgspec.json.encode(some)
            some, size = [], len(line.message) + 100
        some.append(line)
        held[line.run] = (some, size)
    for run, (some, _) in held.items():
        yield run, msgspec.json.encode(some)


def kept(body: bytes) -> list[Line]:
    """Read a message of the stream; one that somebody else put there holds no lines."""
    try:
        return _kept.decode(body)
    except msgspec.MsgspecError:
        return []


def _line(posted: Posted) -> Line:
    message = masking.tokens(posted.message)
    if len(message) > _MAX_MESSAGE:
        message = f"{message[:_MAX_MESSAGE]}… ({len(message) - _MAX_MESSAGE:,} more characters were cut off)"
    return Line(
        run_id(posted.run),
        run_id(posted.task_run) if posted.task_run else None,
        round(posted.time.astimezone(UTC).timestamp() * 1_000_000),  # beyond the year 9999 nobody could show it
        level_number(posted.level),
        posted.logger[:_MAX_NAME],
        message,
    )
