"""Texts that this process must not tell: what it loaded from blocks is masked in log lines and errors of its runs."""

from collections.abc import Iterable
from typing import Final

HIDDEN: Final = "***"
#: Shorter texts are in everything that is said: hiding them would hide nothing and garble all.
SHORTEST: Final = 4
_known: set[str] = set()


def keep(texts: Iterable[str]) -> None:
    """Keep these out of what is told from now on."""
    _known.update(text for text in texts if len(text) >= SHORTEST)


def masked(text: str) -> str:
    """Write *** for each text that is kept, the longest first."""
    for secret in sorted(_known, key=len, reverse=True) if _known else ():
        text = text.replace(secret, HIDDEN)
    return text
