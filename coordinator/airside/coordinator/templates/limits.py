"""What rendering may cost. Whoever writes a rule must not be able to slow down everybody else's."""

from typing import Final

from airside.events.exceptions import AirsideError

#: Bytes of UTF-8 that one text may become: what a receiver can be asked to take.
MAX_OUTPUT_BYTES: Final = 65_536
#: Characters and list entries that all filters and comparisons of one action may touch: some 10 ms of work.
MAX_WORK: Final = 1_000_000


class RenderError(AirsideError):
    """The text became too large, or too costly to make; shorten it or take less of the event."""


class Budget:
    """Counts work down to zero. Share one between the texts of an action and they are bounded together."""

    __slots__ = ("_left",)

    def __init__(self, work: int = MAX_WORK) -> None:
        self._left = work

    def spend(self, work: int) -> None:
        """Count work that is about to be done. Raises RenderError when there is none left."""
        self._left -= work
        if self._left < 0:
            raise RenderError(
                f"the texts of this action handle more than {MAX_WORK:,} characters; take less of the event"
            )
