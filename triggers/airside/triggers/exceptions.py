"""What can go wrong with rules and the engine that runs them.

- AirsideError
    - TriggersError
        - InvalidDocument   the author's fault: every mistake, with line and column
        - PositionGap       the log's fault: an entry is missing, or comes again
        - StateRefused      a saved state that this version cannot go on from: replay the log instead
"""

from dataclasses import dataclass

from airside.events import AirsideError


class TriggersError(AirsideError):
    """Something in the trigger engine failed."""


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One mistake in an automations file. `line` and `column` count from 1; `path` is like `automations[0].trigger`."""

    line: int
    column: int
    path: str
    message: str

    def __str__(self) -> str:
        where = f" ({self.path})" if self.path else ""
        return f"line {self.line}, column {self.column}: {self.message}{where}"


class InvalidDocument(TriggersError):
    """The automations file is refused; `problems` lists every mistake in it."""

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = problems
        super().__init__("\n".join(str(problem) for problem in problems))


class PositionGap(TriggersError):
    """The log was not read gaplessly and in order. Stop deciding and look at the log."""

    def __init__(self, expected: int, found: int) -> None:
        self.expected = expected
        self.found = found
        super().__init__(f"expected log position {expected}, found {found}: stop deciding and look at the log")


class StateRefused(TriggersError):
    """The saved state is not of this engine; start a new engine and replay the log from its beginning."""
