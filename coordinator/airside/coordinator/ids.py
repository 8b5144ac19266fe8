"""Which ids are known already, for ever: one 64-bit key per id in memory.

A key that is not known settles the question. A key that is known is only a suspicion, because two ids may share one;
the views hold the ids themselves and confirm it.
"""

import threading
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import blake2b
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

Keys: TypeAlias = NDArray[np.uint64]

_KEY_BYTES: Final = 8
# A level is merged into the one before it once it is at least half as large: each key is copied about log2(n) times.
_GROWTH: Final = 2


def key(workspace: str, name: str, *, own: bool = False) -> bytes:
    """Hash an id within its workspace to 8 bytes.

    `own` is for events that only the plane can have written: theirs are ids of their own, so that nobody can keep a
    firing out of the views by posting an event with the id that the firing will have.
    """
    separator = "\1" if own else "\0"
    return blake2b(f"{workspace}{separator}{name}".encode(), digest_size=_KEY_BYTES).digest()


def as_array(keys: Iterable[bytes]) -> Keys:
    """Put keys into one array."""
    return np.frombuffer(b"".join(keys), dtype="<u8")


@dataclass(frozen=True, slots=True)
class _Level:
    keys: Keys  # sorted
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Known:
    """Which of the asked keys are known, and between which log positions they were added."""

    mask: NDArray[np.bool_]
    first: int
    last: int

    def __bool__(self) -> bool:
        return bool(self.mask.any())


class IdIndex:
    """A set of 64-bit keys that only grows: sorted arrays, each level about twice the one after it.

    `known` may be called from any thread while another one calls `add`: levels are never changed, only replaced.
    """

    def __init__(self) -> None:
        self._levels: tuple[_Level, ...] = ()
        self._adding = threading.Lock()

    def __len__(self) -> int:
        return sum(len(level.keys) for level in self._levels)

    @property
    def nbytes(self) -> int:
        """Memory that the keys take, in bytes."""
        return sum(level.keys.nbytes for level in self._levels)

    def add(self, keys: Keys, *, first: int = 0, last: int = 0) -> None:
        """Remember keys that were added between two log positions, both included."""
        if not len(keys):
            return
        with self._adding:
            levels = list(self._levels)
            merged = _Level(np.sort(keys), first, last)
            while levels and len(levels[-1].keys) <= _GROWTH * len(merged.keys):
                before = levels.pop()
                both = np.concatenate((before.keys, merged.keys))
                both.sort(kind="stable")  # two sorted runs: merged in linear time
                merged = _Level(both, min(before.first, merged.first), max(before.last, merged.last))
            self._levels = (*levels, merged)

    def known(self, keys: Keys) -> Known:
        """Look keys up. The positions cover every level with a hit; both are 0 without one."""
        mask = np.zeros(len(keys), dtype=np.bool_)
        first = last = 0
        for level in self._levels:
            places = np.searchsorted(level.keys, keys)
            places[places == len(level.keys)] = 0
            hits = level.keys[places] == keys
            if hits.any():
                first, last = (min(first, level.first) if mask.any() else level.first), max(last, level.last)
                mask |= hits
        return Known(mask, first, last)
