"""Counting the elements of a JSON list before anything is made of them.

What is counted is a number of objects in memory: sixty megabytes of `[[],[],…]` would be three gigabytes of them.
"""

from typing import Final

import numpy as np

_CHUNK: Final = 2**20
_QUOTE, _COMMA = ord('"'), ord(",")
_OPEN, _CLOSE = np.zeros(256, np.int8), np.zeros(256, np.int8)
_OPEN[[ord("["), ord("{")]] = 1
_CLOSE[[ord("]"), ord("}")]] = 1
_STEP: Final = _OPEN - _CLOSE


def more_than(body: bytes, most: int) -> bool:
    """Tell whether a JSON list has more elements than this. Of what is no JSON it says what it likes.

    Nearly always the number of commas settles it; else the commas between the elements are counted, in bounded memory.
    """
    if body.count(b",") < most:
        return False
    commas, depth, quoted, start = 0, 0, False, 0
    while start < len(body):
        chunk = body[start : start + _CHUNK]
        if (len(chunk) - len(chunk.rstrip(b"\\"))) % 2:  # an escape must not be cut in two
            chunk = body[start : start + _CHUNK + 1]
        start += len(chunk)
        found, depth, quoted = _commas(chunk, depth, quoted=quoted)
        commas += found
        if commas >= most:
            return True
    return False


def _commas(chunk: bytes, depth: int, *, quoted: bool) -> tuple[int, int, bool]:
    """Count the commas on the first level of nesting, outside of texts."""
    signs = np.frombuffer(chunk.replace(b"\\\\", b"  ").replace(b'\\"', b"  "), np.uint8)
    inside = (np.cumsum(signs == _QUOTE, dtype=np.uint8) + np.uint8(quoted)) & 1
    steps = _STEP[signs]
    steps[inside == 1] = 0
    depths = np.cumsum(steps, dtype=np.int32) + depth
    commas = np.count_nonzero((signs == _COMMA) & (inside == 0) & (depths == 1))
    return int(commas), int(depths[-1]), bool(inside[-1])
