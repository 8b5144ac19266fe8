"""What a check of `airside doctor` finds."""

from dataclasses import asdict, dataclass
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class Check:
    """One finding: what it says, why that matters, and the command that mends it. An `ok` needs only the first."""

    name: str
    state: Literal["ok", "warn", "fail"]
    says: str
    why: str = ""
    todo: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Give the check as a JSON object."""
        return asdict(self)
