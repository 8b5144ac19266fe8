"""The bookkeeping of absences that hold windows in memory, one for each key."""

from collections.abc import Iterable
from typing import Any, Generic, Protocol, TypeVar

import msgspec

from airside.events.wire import Micros
from airside.triggers.keys import Key
from airside.triggers.kinds import absence, base


class Window(Protocol):
    """What is asked of an open window: the moment of its verdict, the timer set for it, whether a hole put it off."""

    verdict: Micros
    timer: int
    held: bool


WindowT = TypeVar("WindowT", bound=Window)


class KeyedAbsence(absence.RunningAbsence[absence.AbsenceT], Generic[absence.AbsenceT, WindowT]):
    """Keeps windows with their timers. They stand in the order in which their keys were last touched."""

    def __init__(self, spec: absence.AbsenceT, host: base.Host, window: type[WindowT]) -> None:
        super().__init__(spec, host)
        self.windows: dict[Key, WindowT] = {}
        self._saved: Any = list[tuple[Key, window]]  # type: ignore[valid-type]  # a type that is known when it runs

    def expected_keys(self) -> Iterable[Key]:
        return self.windows

    def timers(self) -> Iterable[int]:
        return [window.timer for window in self.windows.values()]

    def has_window(self, key: Key) -> bool:
        return key in self.windows

    def drop_window(self, key: Key) -> None:
        window = self.windows.pop(key, None)
        if window:
            self.host.cancel_timer(window.timer)

    def is_put_off(self, key: Key, start: Micros, deadline: Micros) -> bool:
        """Tell whether a window's verdict must wait, once, because the plane was blind; then its timer is set anew."""
        window = self.windows[key]
        until = None if window.held else self.hold_until(start, deadline)
        if until is None:
            return False
        window.held, window.verdict = True, until
        window.timer = self.host.set_timer(until, key)
        return True

    def save(self) -> Any:
        return [self.save_breaches(), list(self.windows.items())]

    def load(self, state: Any) -> None:
        self.load_breaches(state[0])
        self.windows = dict(msgspec.convert(state[1], self._saved))
        for key in self.windows:
            self.watch(key)
